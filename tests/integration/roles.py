"""The roles that authenticate, one for each method, and their password."""

PASSWORD = r"""p ä's\w:/@%o"rd"""

HBA = """\
host all auth_password 127.0.0.1/32 password
host all auth_md5      127.0.0.1/32 md5
host all auth_scram    127.0.0.1/32 scram-sha-256
host all auth_refused  127.0.0.1/32 reject
"""

ENCRYPTION = {
    "auth_trust": "scram-sha-256",
    "auth_password": "scram-sha-256",
    "auth_md5": "md5",
    "auth_scram": "scram-sha-256",
    "auth_refused": "scram-sha-256",
}


def create(conn):
    quoted = PASSWORD.replace("'", "''")
    for role, encryption in ENCRYPTION.items():
        conn.execute(f"SET password_encryption = '{encryption}'")
        conn.execute(f"CREATE ROLE {role} LOGIN REPLICATION"
                     f" PASSWORD '{quoted}'")
