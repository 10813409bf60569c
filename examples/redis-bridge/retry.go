package main

import (
	"errors"
	"math/rand/v2"
	"regexp"
	"strings"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// temporary reports whether to start over may help. Other codes ask for
// somebody to look: the README of walstream says what each means.
func temporary(err error) bool {
	var fromRedis *redisError
	if errors.As(err, &fromRedis) {
		return true
	}
	s, ok := status.FromError(err)
	if !ok {
		return false
	}
	switch s.Code() {
	case codes.Unavailable, codes.ResourceExhausted,
		// What a connection that breaks looks like.
		codes.Internal, codes.Unknown, codes.Canceled:
		return true
	}
	return false
}

var wordEnd = regexp.MustCompile("[a-z][A-Z]")

// describe spells the code as gRPC and the README of walstream do, such as
// DATA_LOSS.
func describe(err error) string {
	s, ok := status.FromError(err)
	if !ok {
		return err.Error()
	}
	code := wordEnd.ReplaceAllStringFunc(s.Code().String(),
		func(pair string) string { return pair[:1] + "_" + pair[1:] })
	return strings.ToUpper(code) + ": " + s.Message()
}

const (
	shortest = 100 * time.Millisecond
	longest  = 10 * time.Second
)

// A backoff is a pause that may get twice as long each time. It is drawn at
// random, so that many clients do not come back at the same moment.
type backoff struct{ most time.Duration }

func (b *backoff) next() time.Duration {
	b.most = min(max(2*b.most, shortest), longest)
	return shortest + rand.N(b.most-shortest+1)
}

func (b *backoff) reset() { b.most = 0 }
