#!/bin/bash
#
# The postgres image runs this once, against the database it has just made, or
# reads it into its own shell when it is not executable: nothing is set here.

psql --no-psqlrc --no-password -v ON_ERROR_STOP=1 \
    --username "$POSTGRES_USER" --dbname "$POSTGRES_DB" \
    -c 'CREATE PUBLICATION publication FOR ALL TABLES'
