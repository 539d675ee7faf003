/* make-cert HOST CERT-FILE KEY-FILE: a certificate that signs itself, for scripts. */
#include "config.h"

#include <stdlib.h>

#include "tls_client.h"

int main(int argc, char **argv)
{
    return argc == 4 && tls_make_files(argv[1], argv[2], argv[3]) ? EXIT_SUCCESS : EXIT_FAILURE;
}
