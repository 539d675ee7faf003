/* The parts of the test of recordings. */
#ifndef TESTS_UNIT_RPC_RECORDED_TESTS_H
#define TESTS_UNIT_RPC_RECORDED_TESTS_H

/* Plays the recording that the case is named after to our server, or to our client. */
void server_case(void);
void client_case(void);
/* Prints how many ran how, and takes everything down. Harmless a second time. */
void server_end(void);
void client_end(void);

/* Conversations with mount tables, led by our client: one of them, or all. */
void names_conversation(const char *id);
void names_conversations(void);

/* Requests byte by byte, and cut at each byte. */
void pieces_byte_by_byte(void);
void pieces_cut(void);

#endif
