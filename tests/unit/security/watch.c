#include "config.h"
#include "watch.h"

#include <malloc.h>

#include "security/idfile.h"
#include "tap.h"

uint8_t secret[SECURITY_SCALAR_LEN];
char secret_text[24];
unsigned leaks;

void __real_free(void *p);
void __wrap_free(void *p);

void __wrap_free(void *p)
{
    if (p != NULL && secret[0] != 0) {
        size_t n = malloc_usable_size(p);

        leaks += memmem(p, n, secret, sizeof secret) != NULL;
        leaks += secret_text[0] != '\0' && memmem(p, n, secret_text, strlen(secret_text)) != NULL;
    }
    __real_free(p);
}

struct security_private *watched(struct buf *text)
{
    struct security_private *members[2], *set;
    struct security_key *key;
    size_t at;

    /* A short scalar, or one that the text shows elsewhere, is no use. */
    do {
        if (security_key_generate(&key, NULL) < 0)
            abort();
        if (security_key_scalar(key).len == sizeof secret)
            break;
        security_key_unref(key);
    } while (true);
    if (security_private_new_with_key(span_str("a"), key, &members[0], NULL) < 0 ||
        security_private_new_with_key(span_str("b"), key, &members[1], NULL) < 0 ||
        security_private_set(members, 2, &set, NULL) < 0 ||
        security_idfile_print_private(text, set) < 0)
        abort();
    memcpy(secret, security_key_scalar(key).p, sizeof secret);
    /* The scalar stands at the end, before the final zero. */
    at = text->len - 36;
    memcpy(secret_text, buf_data(text) + at, sizeof secret_text - 1);
    leaks = 0;
    security_private_unref(members[0]);
    security_private_unref(members[1]);
    security_key_unref(key);
    return set;
}

void unwatch(void)
{
    memset(secret, 0, sizeof secret);
    memset(secret_text, 0, sizeof secret_text);
}
