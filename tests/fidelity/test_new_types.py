"""Types that are made, and altered, while the stream runs."""

import pytest

from feed import Feed
from table import Table
from tally import Tally, total

# Each is one transaction, that ends with a row.
STEPS = [
    ["INSERT INTO {0} VALUES (1)"],
    ["CREATE TYPE {0}_mood AS ENUM ('sad', 'so \"so\"')",
     "CREATE TYPE {0}_pair AS (m {0}_mood, t text[])",
     "CREATE DOMAIN {0}_domain AS {0}_pair[]",
     "CREATE TYPE {0}_range AS RANGE (subtype = {0}_mood)",
     'ALTER TABLE {0} ADD COLUMN "~1" {0}_mood, ADD COLUMN "~2" {0}_pair,'
     ' ADD COLUMN "~3" {0}_domain, ADD COLUMN "~4" {0}_range[],'
     ' ADD COLUMN "~5" {0}_mood[]',
     "INSERT INTO {0} VALUES (2, 'sad', ROW('sad', '{{a,NULL}}'),"
     " ARRAY[ROW(NULL, '{{}}')::{0}_pair], ARRAY['empty'::{0}_range],"
     " '[0:1]={{\"so \\\"so\\\"\",NULL}}')"],
    ["CREATE TYPE {0}_outer AS (p {0}_pair, j jsonb)",
     'ALTER TABLE {0} ADD COLUMN "~6" {0}_outer[]',
     "INSERT INTO {0} (id, \"~6\") VALUES (3, ARRAY[ROW(ROW('sad',"
     " '{{b}}'), '{{\"a\": [1.0]}}')::{0}_outer])"],
    ["ALTER TYPE {0}_pair ADD ATTRIBUTE n numeric",
     "INSERT INTO {0} (id, \"~2\", \"~6\") VALUES (4, ROW('sad', '{{c}}',"
     " 1.0), ARRAY[ROW(ROW(NULL, NULL, 2), '1')::{0}_outer])"],
    ["ALTER TYPE {0}_pair DROP ATTRIBUTE t",
     "INSERT INTO {0} (id, \"~2\") VALUES (5, ROW('sad', 1.50))"],
    ["ALTER TYPE {0}_mood RENAME VALUE 'sad' TO 'glad'",
     "INSERT INTO {0} (id, \"~1\") VALUES (6, 'glad')"],
    ['ALTER TABLE {0} ALTER COLUMN "~5" TYPE text',
     "INSERT INTO {0} (id, \"~5\") VALUES (7, '{{a}}')"],
    ['ALTER TABLE {0} DROP COLUMN "~6"', "DROP TYPE {0}_outer",
     "CREATE TYPE {0}_outer AS ENUM ('{{}}')",
     'ALTER TABLE {0} ADD COLUMN "~6" {0}_outer[]',
     "INSERT INTO {0} (id, \"~6\") VALUES (8, ARRAY['{{}}'::{0}_outer])"],
]


@pytest.mark.parametrize("temporary", ["false", "true"])
def test_new_types(temporary, conn, stubs, launch):
    tally = Tally()
    name = f"late_{temporary}"
    table = Table(conn, name, [])
    with Feed(stubs, launch(f"fidelity_{name}", temporary), name) as feed:
        for statements in STEPS:
            conn.execute(";".join(["BEGIN", *statements, "COMMIT"])
                         .format(name))
            line = table.expected()[-1]
            [event], = feed.take(1)
            types = [f"step {line[:9]}"] * line.count('"~')
            tally.compare(types, "insert", event.json_payload, line)
            tally.rows += 1
    total.add(tally)
    tally.check()
