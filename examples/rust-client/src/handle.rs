use std::io::{stdout, BufWriter, Write};

use anyhow::Result;

use crate::lsn;
use crate::plugin::server_message::Msg;
use crate::plugin::CommitEvent;

/// Processes one transaction: put your own code here.
///
/// When it returns `Ok` the transaction is acknowledged, and PostgreSQL need
/// not keep it any longer. An error ends the program, unacknowledged. A
/// transaction comes again when its acknowledgement was lost, so processing
/// one twice must do no harm; its `commit_lsn`, and `commit_lsn` and `seq` of
/// each of its rows, are the same every time.
pub async fn handle(rows: &[Msg], commit: &CommitEvent) -> Result<()> {
    let mut out = BufWriter::new(stdout().lock());
    for row in rows {
        match row {
            Msg::Insert(e) => {
                writeln!(out, "insert {}.{} {}", e.schema, e.table, e.json_payload)?;
            }
            Msg::Update(e) => {
                writeln!(out, "update {}.{} {}", e.schema, e.table, e.json_payload)?;
            }
            Msg::Delete(e) => {
                writeln!(out, "delete {}.{} {}", e.schema, e.table, e.json_payload)?;
            }
            Msg::Truncate(e) => writeln!(out, "truncate {}.{}", e.schema, e.table)?,
            _ => {}
        }
    }
    writeln!(out, "commit {} {}", lsn(commit.pg_lsn), commit.event_count)?;
    out.flush()?;
    Ok(())
}
