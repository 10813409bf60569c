// A client of walstream: prints every transaction, then acknowledges it.
//
//	go-client [HOST:PORT]
package main

import (
	"context"
	"errors"
	"log"
	"os"
	"os/signal"
	"syscall"
	"time"

	pb "example.com/walstream/go-client/generated"
)

//go:generate mkdir -p generated
//go:generate protoc -I../../proto --go_out=generated --go_opt=paths=source_relative,Mplugin.proto=./plugin plugin.proto
//go:generate protoc -I../../proto --go-grpc_out=generated --go-grpc_opt=paths=source_relative,Mplugin.proto=./plugin plugin.proto

func main() {
	log.SetFlags(0)
	address := "127.0.0.1:50051"
	if len(os.Args) > 1 {
		address = os.Args[1]
	}
	ctx, restore := signal.NotifyContext(context.Background(),
		os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, restore) // a second signal ends it at once
	if err := run(ctx, address); err != nil {
		log.Fatal(describe(err))
	}
}

// run follows the stream until ctx is done, and opens it again for as long as
// that can help.
func run(ctx context.Context, address string) error {
	var pause backoff
	for {
		err := follow(ctx, address, &pause)
		switch {
		case ctx.Err() != nil && (temporary(err) || errors.Is(err, ctx.Err())):
			return nil
		case !temporary(err):
			return err
		}
		delay := pause.next()
		log.Printf("%s; trying again in %v", describe(err),
			delay.Round(time.Millisecond))
		select {
		case <-time.After(delay):
		case <-ctx.Done():
			return nil
		}
	}
}

// follow opens one stream and processes its transactions until it breaks or
// ctx is done. A transaction that has not arrived whole is dropped: it was not
// acknowledged, so it comes again.
func follow(ctx context.Context, address string, pause *backoff) error {
	s, err := open(ctx, address)
	if err != nil {
		return err
	}
	defer s.close()

	var rows []*pb.ServerMessage
	for {
		message, err := s.receive(ctx)
		if err != nil {
			return err
		}
		pause.reset()
		switch m := message.Msg.(type) {
		case *pb.ServerMessage_Started:
			log.Printf("connected to %s, from %s on", address,
				lsn(m.Started.StartLsn))
		case *pb.ServerMessage_Begin:
			rows = nil
		case *pb.ServerMessage_Insert, *pb.ServerMessage_Update,
			*pb.ServerMessage_Delete, *pb.ServerMessage_Truncate:
			rows = append(rows, message)
		case *pb.ServerMessage_Commit:
			if err := handle(ctx, rows, m.Commit); err != nil {
				return &handleError{err}
			}
			s.acknowledge(m.Commit.PgLsn)
		}
	}
}
