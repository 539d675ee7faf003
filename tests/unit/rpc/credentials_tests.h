/* The parts of the test of credentials. */
#ifndef TESTS_UNIT_RPC_CREDENTIALS_TESTS_H
#define TESTS_UNIT_RPC_CREDENTIALS_TESTS_H

void credentials_kept(void);
void credentials_server_checks(void);
void credentials_caller_gone(void);
void credentials_checked_too_late(void);
void credentials_server_stops(void);

#endif
