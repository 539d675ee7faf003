/* time.Time as it travels: version, seconds since year 1, nanoseconds, zone (spec: vom A.6). */
#include "config.h"
#include "vom/wiretypes.h"

#include "base/cursor.h"
#include "vom/internal.h"

const struct vom_type vom_type_time = VOM_TYPE_NAMED(VOM_KIND_BYTES, "time.Time");
const struct vom_type vom_type_duration = VOM_TYPE_NAMED(VOM_KIND_INT64, "time.Duration");

const uint8_t vom_time_zero[VOM_TIME_LEN] = {1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

static void put_be(uint8_t *out, uint64_t v, unsigned n)
{
    while (n-- > 0) {
        out[n] = (uint8_t)v;
        v >>= 8;
    }
}

void vom_time_put(uint8_t out[VOM_TIME_LEN], const struct vom_time *t)
{
    out[0] = 1;
    put_be(out + 1, (uint64_t)t->sec - (uint64_t)VOM_TIME_YEAR_1, 8);
    put_be(out + 9, (uint32_t)t->nsec, 4);
    put_be(out + 13, (uint16_t)t->zone_min, 2);
}

int vom_time_get(struct span s, struct vom_time *ret_t, struct err *err)
{
    struct cursor c = cursor_of(s.p, s.len);
    struct vom_time t;
    uint32_t nsec;
    uint8_t version;

    if (s.len == 0)
        return err_set(err, WSPR_EPROTO, "Time.UnmarshalBinary: no data");
    version = cursor_u8(&c);
    if (version != 1)
        return err_set(err, WSPR_EPROTO, "Time.UnmarshalBinary: unsupported version");
    if (s.len != VOM_TIME_LEN)
        return err_set(err, WSPR_EPROTO, "Time.UnmarshalBinary: invalid length");
    t.sec = (int64_t)(cursor_u64(&c) + (uint64_t)VOM_TIME_YEAR_1);
    nsec = cursor_u32(&c);
    t.zone_min = (int16_t)(cursor_u8(&c) << 8);
    t.zone_min = (int16_t)(t.zone_min | cursor_u8(&c));
    if (nsec >= 1000000000)
        return err_set(err, WSPR_EPROTO, "Time.UnmarshalBinary: invalid nanoseconds");
    t.nsec = (int32_t)nsec;
    *ret_t = t;
    return 0;
}

int vom_time_new(struct arena *a, int64_t sec, int32_t nsec, struct vom_value *ret_v)
{
    struct vom_time t = {sec, nsec, -1};
    uint8_t *bytes = arena_alloc(a, VOM_TIME_LEN);

    if (bytes == NULL)
        return vom_arena_error(a, VOM_TIME_LEN, NULL);
    vom_time_put(bytes, &t);
    *ret_v = vom_value_span(&vom_type_time, span_of(bytes, VOM_TIME_LEN));
    return 0;
}
