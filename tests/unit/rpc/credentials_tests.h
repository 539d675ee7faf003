/* The parts of the test of credentials. */
#ifndef TESTS_UNIT_RPC_CREDENTIALS_TESTS_H
#define TESTS_UNIT_RPC_CREDENTIALS_TESTS_H

void credentials_kept(void);

#endif
