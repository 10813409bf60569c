package main

import (
	"context"
	"fmt"
	"log"

	pb "example.com/walstream/redis-bridge/generated"
)

type bridge struct {
	address  string
	consumer string
	store    *store
	pause    backoff
}

// follow copies one stream into Redis until one of the two breaks or ctx is
// done. It goes on from what Redis has.
func (b *bridge) follow(ctx context.Context) error {
	to := b.store.open()
	defer to.close()
	have, err := to.state(ctx)
	if err != nil {
		return err
	}
	s, err := open(ctx, b.address, &pb.Start{
		Consumer:         b.consumer,
		AfterLsn:         uint64(have.position),
		SystemIdentifier: have.systemIdentifier,
		Exact:            true, // refuse to leave a gap
	})
	if err != nil {
		return err
	}
	defer s.close()

	first, err := s.receive(ctx)
	if err != nil {
		return err
	}
	started := first.GetStarted()
	if have.position != 0 && have.position < lsn(started.GetStartLsn()) {
		return fmt.Errorf("Redis has lost what it had confirmed, from %s to %s",
			have.position, lsn(started.GetStartLsn()))
	}
	log.Printf("connected to %s, from %s on", b.address,
		lsn(started.GetStartLsn()))
	have.systemIdentifier = started.GetSystemIdentifier()

	w := &writer{sink: to, have: have}
	for {
		message, err := s.receive(ctx)
		if err != nil {
			return err
		}
		done, err := w.take(ctx, message)
		if err != nil {
			return err
		}
		if done != 0 {
			s.acknowledge(done)
			b.pause.reset()
		}
	}
}

// A transaction is written in pieces of about this size, so that a huge one
// takes no more memory than a small one.
const (
	pieceEvents = 1000
	pieceBytes  = 1 << 20
)

// A writer collects events, and writes them when the transaction, or the
// piece, is complete.
type writer struct {
	sink   *sink
	have   state
	events []event
	bytes  int
}

// take returns the position that may be acknowledged now, or 0.
func (w *writer) take(ctx context.Context, message *pb.ServerMessage) (uint64, error) {
	switch m := message.Msg.(type) {
	case *pb.ServerMessage_Commit:
		return m.Commit.PgLsn, w.finish(ctx, lsn(m.Commit.PgLsn))
	case *pb.ServerMessage_Progress:
		// There was nothing for us up to here. It is acknowledged, so
		// it is stored, too: what is confirmed must be found again.
		return m.Progress.PgLsn, w.finish(ctx, lsn(m.Progress.PgLsn))
	}
	e, ok := eventOf(message)
	if !ok {
		return 0, nil
	}
	return 0, w.add(ctx, e)
}

// add leaves out what was written before something broke, in the middle of a
// transaction. That can only be the first one that comes.
func (w *writer) add(ctx context.Context, e event) error {
	last := w.have.last
	if e.id.commit < last.commit {
		return fmt.Errorf("%s has entries up to %s, which did not come from"+
			" here: %s cannot be added", w.sink.stream, last, e.id)
	}
	if e.id.commit == last.commit && e.id.seq <= last.seq {
		return nil
	}
	w.events = append(w.events, e)
	w.bytes += e.size()
	if len(w.events) < pieceEvents && w.bytes < pieceBytes {
		return nil
	}
	return w.write(ctx, 0)
}

// finish writes what is left together with the position, in one step: from
// now on this transaction is not asked for again.
func (w *writer) finish(ctx context.Context, position lsn) error {
	if position <= w.have.position {
		return nil
	}
	w.have.position = position
	return w.write(ctx, position)
}

func (w *writer) write(ctx context.Context, position lsn) error {
	err := w.sink.write(ctx, w.events, position, w.have.systemIdentifier)
	w.events, w.bytes = nil, 0
	return err
}
