package main

import (
	"bufio"
	"context"
	"fmt"
	"os"

	pb "example.com/walstream/go-client/generated"
)

// handle processes one transaction: put your own code here.
//
// When it returns nil the transaction is acknowledged, and PostgreSQL need not
// keep it any longer. An error ends the program, unacknowledged. A transaction
// comes again when its acknowledgement was lost, so processing one twice must
// do no harm; its commit.CommitLsn, and CommitLsn and Seq of each of its rows,
// are the same every time.
func handle(_ context.Context, rows []*pb.ServerMessage, commit *pb.CommitEvent) error {
	out := bufio.NewWriter(os.Stdout)
	for _, row := range rows {
		switch m := row.Msg.(type) {
		case *pb.ServerMessage_Insert:
			printRow(out, "insert", m.Insert)
		case *pb.ServerMessage_Update:
			printRow(out, "update", m.Update)
		case *pb.ServerMessage_Delete:
			printRow(out, "delete", m.Delete)
		case *pb.ServerMessage_Truncate:
			fmt.Fprintf(out, "truncate %s.%s\n",
				m.Truncate.Schema, m.Truncate.Table)
		}
	}
	fmt.Fprintf(out, "commit %s %d\n", lsn(commit.PgLsn), commit.EventCount)
	return out.Flush() // reports what failed before, too
}

// A rowEvent is an insert, an update or a delete: they have the same fields.
type rowEvent interface {
	GetSchema() string
	GetTable() string
	GetJsonPayload() string
}

func printRow(out *bufio.Writer, op string, row rowEvent) {
	fmt.Fprintf(out, "%s %s.%s %s\n", op, row.GetSchema(), row.GetTable(),
		row.GetJsonPayload())
}

// An lsn is a position, printed as PostgreSQL prints it.
type lsn uint64

func (l lsn) String() string {
	return fmt.Sprintf("%X/%X", uint64(l)>>32, uint32(l))
}
