#include "config.h"
#include "naming/endpoint.h"

static const struct naming_versions version_ours = {NAMING_VERSION_MIN, NAMING_VERSION_MAX};

static int version_incompatible(struct err *e)
{
    return err_set(e, WSPR_EUNKNOWN, "No compatible IPC version available");
}

int naming_versions_intersect(struct naming_versions a, struct naming_versions b,
                              struct naming_versions *ret_both, struct err *e)
{
    struct naming_versions both = a;

    /* 0 is unknown and leaves the other side's bound; a known bound is never below 1. */
    if (b.min > both.min)
        both.min = b.min;
    if (both.max == 0 || (b.max != 0 && b.max < both.max))
        both.max = b.max;
    if (both.min == 0 || both.max == 0)
        return err_set(e, WSPR_EUNKNOWN,
                       "There was not enough information to determine a version.");
    if (both.min > both.max)
        return version_incompatible(e);
    *ret_both = both;
    return 0;
}

int naming_versions_common(struct naming_versions a, struct naming_versions b, struct err *e)
{
    struct naming_versions both = a;
    int r = naming_versions_intersect(a, b, &both, e);

    if (r < 0)
        return r;
    if (both.max < version_ours.min || both.max > version_ours.max)
        return version_incompatible(e);
    return (int)both.max;
}

int naming_versions_check(struct naming_versions remote, struct err *e)
{
    struct naming_versions both;

    return naming_versions_intersect(version_ours, remote, &both, e);
}
