#!/bin/sh
# The two databases of Temporal and their schemas; run in the container `schema`.
set -eu

tool() { temporal-sql-tool --plugin postgres12 --ep postgresql --port 5432 --user temporal "$@"; }

prepare() {
  database=$1 schema=$2
  # What is there already is an error of these two and stays as it is; if it was
  # another error, the third fails.
  tool --db "$database" create || echo "$database is there"
  tool --db "$database" setup-schema -v 0.0 || echo "$database has a schema"
  tool --db "$database" update-schema -d "/etc/temporal/schema/postgresql/v12/$schema/versioned"
}

prepare temporal temporal
prepare temporal_visibility visibility
