package main

import (
	"encoding/json"
	"fmt"
	"strconv"

	pb "example.com/walstream/redis-bridge/generated"
)

// An eventID names an event for ever: the LSN of its transaction's commit, and
// its number in the transaction. It is also the ID of its entry.
type eventID struct{ commit, seq uint64 }

func (id eventID) String() string {
	return fmt.Sprintf("%d-%d", id.commit, id.seq)
}

func parseID(s string) (id eventID, err error) {
	_, err = fmt.Sscanf(s, "%d-%d", &id.commit, &id.seq)
	return id, err
}

// An event is one entry of the stream.
type event struct {
	id     eventID
	fields []string // name, value, ...
}

func (e event) size() (n int) {
	for _, field := range e.fields {
		n += len(field)
	}
	return n
}

func (e *event) add(name, value string) {
	e.fields = append(e.fields, name, value)
}

// A change is any event about a table: they have these fields in common.
type change interface {
	GetSchema() string
	GetTable() string
	GetCommitLsn() uint64
	GetSeq() uint32
	GetXid() uint32
	GetCommitTimeUs() int64
}

// A rowChange is an insert, an update or a delete.
type rowChange interface {
	change
	GetJsonPayload() string
	GetOldJsonPayload() string
	GetUnchangedColumns() []string
}

// eventOf returns false if the message is not about a table.
func eventOf(message *pb.ServerMessage) (event, bool) {
	switch m := message.Msg.(type) {
	case *pb.ServerMessage_Insert:
		return rowEvent("insert", m.Insert), true
	case *pb.ServerMessage_Update:
		return rowEvent("update", m.Update), true
	case *pb.ServerMessage_Delete:
		return rowEvent("delete", m.Delete), true
	case *pb.ServerMessage_Truncate:
		return newEvent("truncate", m.Truncate), true
	}
	return event{}, false
}

func newEvent(op string, c change) event {
	e := event{id: eventID{c.GetCommitLsn(), uint64(c.GetSeq())}}
	e.add("op", op)
	e.add("schema", c.GetSchema())
	e.add("table", c.GetTable())
	e.add("xid", strconv.FormatUint(uint64(c.GetXid()), 10))
	e.add("commit_time_us", strconv.FormatInt(c.GetCommitTimeUs(), 10))
	return e
}

func rowEvent(op string, r rowChange) event {
	e := newEvent(op, r)
	e.add("payload", r.GetJsonPayload())
	if old := r.GetOldJsonPayload(); old != "" {
		e.add("old_payload", old)
	}
	if columns := r.GetUnchangedColumns(); len(columns) > 0 {
		list, _ := json.Marshal(columns) // strings always can be
		e.add("unchanged_columns", string(list))
	}
	return e
}

// An lsn is a position, printed as PostgreSQL prints it.
type lsn uint64

func (l lsn) String() string {
	return fmt.Sprintf("%X/%X", uint64(l)>>32, uint32(l))
}
