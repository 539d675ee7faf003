/* Memory of a worker for the readings of its plugins (<wspr/reader.h>). */
#ifndef GATEWAY_READING_H
#define GATEWAY_READING_H

struct wspr_reading;

/*
 * From here to reading_take_back() readings of this thread use the spare one (may be NULL), and
 * leave one behind instead of freeing it. Does not nest.
 */
void reading_lend(struct wspr_reading *spare);
/* What is to be lent the next time; the caller's, to be freed with reading_destroy(). */
struct wspr_reading *reading_take_back(void);
void reading_destroy(struct wspr_reading *reading);

#endif
