// A bridge from walstream to a Redis stream: every row change becomes an entry,
// once, in the order of the commits.
//
//	redis-bridge [-redis URL] [-stream KEY] [-maxlen N] [-consumer NAME] [HOST:PORT]
package main

import (
	"context"
	"errors"
	"flag"
	"log"
	"os"
	"os/signal"
	"syscall"
	"time"
)

//go:generate mkdir -p generated
//go:generate protoc -I../../proto --go_out=generated --go_opt=paths=source_relative,Mplugin.proto=./plugin plugin.proto
//go:generate protoc -I../../proto --go-grpc_out=generated --go-grpc_opt=paths=source_relative,Mplugin.proto=./plugin plugin.proto

func main() {
	log.SetFlags(0)
	url := flag.String("redis", "redis://127.0.0.1:6379/0",
		"`URL` of Redis; unix:///path/to/socket is one, too")
	stream := flag.String("stream", "walstream:changes",
		"`key` of the stream; key:position is written, too")
	maxLen := flag.Int64("maxlen", 0,
		"keep about `N` entries (0: all), read or not")
	consumer := flag.String("consumer", "redis-bridge",
		"`name` to subscribe under")
	flag.Parse()
	address := "127.0.0.1:50051"
	if flag.NArg() > 0 {
		address = flag.Arg(0)
	}

	to, err := newStore(*url, *stream, *maxLen)
	if err != nil {
		log.Fatal(err)
	}
	ctx, restore := signal.NotifyContext(context.Background(),
		os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, restore) // a second signal ends it at once
	b := &bridge{address: address, consumer: *consumer, store: to}
	if err := run(ctx, b); err != nil {
		log.Fatal(describe(err))
	}
}

// run bridges until ctx is done. Whatever breaks, walstream or Redis, it starts
// over from what Redis has.
func run(ctx context.Context, b *bridge) error {
	for {
		err := b.follow(ctx)
		switch {
		case ctx.Err() != nil && (temporary(err) || errors.Is(err, ctx.Err())):
			return nil
		case !temporary(err):
			return err
		}
		delay := b.pause.next()
		log.Printf("%s; trying again in %v", describe(err),
			delay.Round(time.Millisecond))
		select {
		case <-time.After(delay):
		case <-ctx.Done():
			return nil
		}
	}
}
