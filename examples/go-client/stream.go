package main

import (
	"context"
	"errors"
	"io"
	"math"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/status"

	pb "example.com/walstream/go-client/generated"
)

// consumer is the name under which walstream remembers, while it runs, what
// was acknowledged.
const consumer = "go-client"

var options = []grpc.DialOption{
	grpc.WithTransportCredentials(insecure.NewCredentials()),
	// An event is as large as its row; the default is 4 MiB.
	grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(math.MaxInt)),
	// A server whose machine died would otherwise never be missed.
	grpc.WithKeepaliveParams(keepalive.ClientParameters{
		Time: 30 * time.Second, Timeout: 10 * time.Second,
	}),
}

// A stream is one Subscribe call on a connection of its own.
type stream struct {
	conn     *grpc.ClientConn
	call     pb.PluginService_SubscribeClient
	cancel   context.CancelFunc
	received chan received
}

type received struct {
	message *pb.ServerMessage
	err     error
}

func open(ctx context.Context, address string) (*stream, error) {
	conn, err := grpc.NewClient(address, options...)
	if err != nil {
		return nil, err
	}
	// ctx ends the call only while it is being opened; later the last
	// acknowledgement has yet to be sent: see close.
	callCtx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	opened := context.AfterFunc(ctx, cancel)
	call, err := pb.NewPluginServiceClient(conn).Subscribe(callCtx)
	opened()
	if err != nil {
		cancel()
		conn.Close()
		return nil, err
	}
	s := &stream{conn, call, cancel, make(chan received)}
	s.send(&pb.ClientMessage{Msg: &pb.ClientMessage_Start{
		Start: &pb.Start{Consumer: consumer}}})
	go s.pump(callCtx)
	return s, nil
}

// pump receives no more than one message ahead: a slow handle slows the server
// down instead of filling memory.
func (s *stream) pump(ctx context.Context) {
	for {
		message, err := s.call.Recv()
		if errors.Is(err, io.EOF) {
			err = status.Error(codes.Unavailable,
				"the server ended the stream")
		}
		select {
		case s.received <- received{message, err}:
		case <-ctx.Done():
		}
		if err != nil {
			return
		}
	}
}

func (s *stream) receive(ctx context.Context) (*pb.ServerMessage, error) {
	select {
	case r := <-s.received:
		return r.message, r.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// acknowledge says that everything up to position was processed.
func (s *stream) acknowledge(position uint64) {
	s.send(&pb.ClientMessage{Msg: &pb.ClientMessage_Ack{
		Ack: &pb.ClientAck{PgLsn: position}}})
}

// send reports no error: that the stream broke, and why, is for receive to say.
func (s *stream) send(message *pb.ClientMessage) {
	_ = s.call.Send(message)
}

// close leaves time for what was sent to be written, which gRPC does in the
// background; what is not written when the call is cancelled is lost.
func (s *stream) close() {
	_ = s.call.CloseSend()
	time.Sleep(200 * time.Millisecond)
	s.cancel()
	s.conn.Close()
}
