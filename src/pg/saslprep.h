#ifndef PG_SASLPREP_H
#define PG_SASLPREP_H

/*
 * A password as SCRAM hashes it: SASLprep (RFC 4013) as PostgreSQL does it
 * (src/common/saslprep.c). Non-ASCII spaces become spaces, what is commonly
 * mapped to nothing is left out, the rest becomes NFKC. Unlike the RFC says,
 * the password stays as it is when it is ASCII, control characters or not,
 * when it is not UTF-8, when nothing would be left, and when it has characters
 * that are prohibited, that Unicode 3.2 has not assigned or that break the
 * rules for two directions; these are looked for before NFKC, not after.
 *
 * Returns a malloc'd string, for the caller to wipe and free, or NULL when
 * there is no memory.
 */
char *saslprep(const char *password);

#endif
