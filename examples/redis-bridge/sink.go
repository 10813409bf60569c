package main

import (
	"context"
	"fmt"

	"github.com/redis/go-redis/v9"
)

// A store says where in Redis the events go, and the position beside them: a
// stream of one entry, whose ID is the end LSN of the last transaction that is
// complete.
//
// Redis refuses an ID that is not above the last one of its stream. So nothing
// gets in twice, and the position never falls, not even when a command that
// was given up for lost is carried out after all.
type store struct {
	client         *redis.Client
	stream         string
	positionStream string
	maxLen         int64
}

func newStore(url, stream string, maxLen int64) (*store, error) {
	options, err := redis.ParseURL(url)
	if err != nil {
		return nil, err
	}
	options.MaxRetries = -1 // see sink
	return &store{redis.NewClient(options), stream, stream + ":position", maxLen}, nil
}

// A sink is one connection to a store. Redis may have been restarted, or
// replaced by a replica, when it has to be opened again, and may then have
// less than before: so that is not left to the library. Any error ends the
// sink, and the next one begins with the state.
type sink struct {
	*store
	conn *redis.Conn
}

func (s *store) open() *sink {
	return &sink{s, s.client.Conn()}
}

func (s *sink) close() {
	s.conn.Close()
}

type redisError struct{ error }

func (e *redisError) Unwrap() error { return e.error }

// A state is what Redis has; nothing is 0.
type state struct {
	position         lsn
	systemIdentifier string // of the cluster that position is of
	last             eventID
}

func (s *sink) state(ctx context.Context) (state, error) {
	var have state
	entries, err := s.conn.XRevRangeN(ctx, s.positionStream, "+", "-", 1).Result()
	if err != nil {
		return have, &redisError{err}
	}
	if len(entries) > 0 {
		id, err := parseID(entries[0].ID)
		if err != nil {
			return have, err
		}
		have.position = lsn(id.commit)
		have.systemIdentifier, _ = entries[0].Values["system_identifier"].(string)
	}
	have.last, err = s.last(ctx)
	return have, err
}

// last is the highest ID there ever was, also when its entry is gone.
func (s *sink) last(ctx context.Context) (eventID, error) {
	info, err := s.conn.XInfoStream(ctx, s.stream).Result()
	if redis.HasErrorPrefix(err, "no such key") {
		return eventID{}, nil
	}
	if err != nil {
		return eventID{}, &redisError{err}
	}
	return parseID(info.LastGeneratedID)
}

// write adds events and, unless it is 0, the position, in one step. When it
// returns nil, Redis has answered EXEC: see the README for what that is worth.
func (s *sink) write(ctx context.Context, events []event, position lsn, systemIdentifier string) error {
	_, err := s.conn.TxPipelined(ctx, func(p redis.Pipeliner) error {
		for _, e := range events {
			p.XAdd(ctx, &redis.XAddArgs{
				Stream: s.stream, ID: e.id.String(), Values: e.fields,
				MaxLen: s.maxLen, Approx: s.maxLen != 0,
			})
		}
		if position != 0 {
			p.XAdd(ctx, &redis.XAddArgs{
				Stream: s.positionStream, MaxLen: 1,
				ID:     fmt.Sprintf("%d-0", uint64(position)),
				Values: []string{"system_identifier", systemIdentifier},
			})
		}
		return nil
	})
	if err != nil {
		return &redisError{err}
	}
	return nil
}
