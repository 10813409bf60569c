// One call to a walstream with grpc-go: see ../README.md.
package main

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log"
	"math"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	health "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/metadata"
	reflection "google.golang.org/grpc/reflection/grpc_reflection_v1"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/descriptorpb"

	pb "example.com/walstream/stacks/generated"
)

//go:generate mkdir -p generated
//go:generate protoc -I$PROTO --go_out=generated --go_opt=paths=source_relative,Mplugin.proto=./plugin plugin.proto
//go:generate protoc -I$PROTO --go-grpc_out=generated --go-grpc_opt=paths=source_relative,Mplugin.proto=./plugin plugin.proto

var methods = map[string]func(context.Context, *grpc.ClientConn, string, map[string]string) error{
	"session": stream, "subscribe": stream, "check": check, "watch": watch,
	"reflect": reflect,
}

func main() {
	options := map[string]string{}
	for _, word := range os.Args[3:] {
		name, value, _ := strings.Cut(word, "=")
		options[name] = value
	}
	conn, err := grpc.NewClient(os.Args[1], settings(options)...)
	if err != nil {
		log.Fatal(err)
	}
	ctx, cancel := how(options)
	defer cancel()
	err = methods[os.Args[2]](ctx, conn, os.Args[2], options)
	s := status.Convert(err)
	say("status", int(s.Code()), s.Message())
}

var saying sync.Mutex

func say(words ...any) {
	saying.Lock()
	defer saying.Unlock()
	fmt.Println(words...)
}

func settings(options map[string]string) []grpc.DialOption {
	found := []grpc.DialOption{
		grpc.WithTransportCredentials(transport(options)),
	}
	if most, ok := options["max_message"]; !ok {
		found = append(found, grpc.WithDefaultCallOptions(
			grpc.MaxCallRecvMsgSize(math.MaxInt)))
	} else if n := number(most); n != 0 {
		found = append(found, grpc.WithDefaultCallOptions(
			grpc.MaxCallRecvMsgSize(n)))
	}
	if span, ok := options["keepalive_s"]; ok {
		found = append(found, grpc.WithKeepaliveParams(
			keepalive.ClientParameters{
				Time: time.Duration(number(span)) * time.Second,
			}))
	}
	return found
}

func transport(options map[string]string) credentials.TransportCredentials {
	if options["ca"] == "" {
		return insecure.NewCredentials()
	}
	ca, err := os.ReadFile(options["ca"])
	if err != nil {
		log.Fatal(err)
	}
	config := &tls.Config{RootCAs: x509.NewCertPool()}
	config.RootCAs.AppendCertsFromPEM(ca)
	if options["cert"] != "" {
		ours, err := tls.LoadX509KeyPair(options["cert"], options["key"])
		if err != nil {
			log.Fatal(err)
		}
		config.Certificates = []tls.Certificate{ours}
	}
	return credentials.NewTLS(config)
}

// how is what goes with each call: its token and its deadline.
func how(options map[string]string) (context.Context, context.CancelFunc) {
	ctx := context.Background()
	if token, ok := options["token"]; ok {
		ctx = metadata.AppendToOutgoingContext(ctx, "authorization",
			"Bearer "+token)
	}
	if span, ok := options["deadline_ms"]; ok {
		return context.WithTimeout(ctx,
			time.Duration(number(span))*time.Millisecond)
	}
	return context.WithCancel(ctx)
}

func number(text string) int {
	n, err := strconv.Atoi(text)
	if err != nil {
		log.Fatal(err)
	}
	return n
}

func stream(ctx context.Context, conn *grpc.ClientConn, method string, options map[string]string) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	client := pb.NewPluginServiceClient(conn)
	var call grpc.BidiStreamingClient[pb.ClientMessage, pb.ServerMessage]
	var err error
	if method == "session" {
		call, err = client.Session(ctx)
	} else {
		call, err = client.Subscribe(ctx)
	}
	if err != nil {
		return err
	}
	if method == "subscribe" {
		start := &pb.Start{Consumer: options["consumer"]}
		if options["tables"] != "" {
			start.Tables = []string{options["tables"]}
		}
		// An error shows in what is received.
		_ = call.Send(&pb.ClientMessage{Msg: &pb.ClientMessage_Start{Start: start}})
	}
	go obey(cancel, func(lsn uint64) {
		_ = call.Send(&pb.ClientMessage{Msg: &pb.ClientMessage_Ack{
			Ack: &pb.ClientAck{PgLsn: lsn}}})
	}, func() { _ = call.CloseSend() })
	if first, err := call.Header(); err == nil && first != nil {
		say("headers")
	}
	return follow(call.Recv, show)
}

// follow takes messages until the call ends; nil means OK.
func follow[T any](receive func() (T, error), take func(T)) error {
	for {
		message, err := receive()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		take(message)
	}
}

func obey(cancel func(), ack func(uint64), closeSend func()) {
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		word, rest, _ := strings.Cut(lines.Text(), " ")
		switch word {
		case "ack":
			lsn, err := strconv.ParseUint(rest, 10, 64)
			if err != nil {
				log.Fatal(err)
			}
			ack(lsn)
		case "close":
			closeSend()
		case "cancel":
			cancel()
		}
	}
}

func show(message *pb.ServerMessage) {
	switch m := message.Msg.(type) {
	case *pb.ServerMessage_Started:
		say("started", m.Started.StartLsn)
	case *pb.ServerMessage_Begin:
		say("begin", m.Begin.PgLsn)
	case *pb.ServerMessage_Commit:
		say("commit", m.Commit.PgLsn)
	case *pb.ServerMessage_Insert:
		say("insert", m.Insert.PgLsn, m.Insert.JsonPayload)
	case *pb.ServerMessage_Update:
		say("update", m.Update.PgLsn, m.Update.JsonPayload)
	case *pb.ServerMessage_Delete:
		say("delete", m.Delete.PgLsn, m.Delete.JsonPayload)
	case *pb.ServerMessage_Truncate:
		say("truncate", m.Truncate.PgLsn)
	default:
		log.Fatalf("what is %v?", message)
	}
}

func check(ctx context.Context, conn *grpc.ClientConn, _ string, options map[string]string) error {
	answer, err := health.NewHealthClient(conn).Check(ctx,
		&health.HealthCheckRequest{Service: options["service"]})
	if err == nil {
		say("health", int(answer.Status))
	}
	return err
}

func watch(ctx context.Context, conn *grpc.ClientConn, _ string, options map[string]string) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	call, err := health.NewHealthClient(conn).Watch(ctx,
		&health.HealthCheckRequest{Service: options["service"]})
	if err != nil {
		return err
	}
	go obey(cancel, nil, nil)
	return follow(call.Recv, func(answer *health.HealthCheckResponse) {
		say("health", int(answer.Status))
	})
}

func reflect(ctx context.Context, conn *grpc.ClientConn, _ string, _ map[string]string) error {
	call, err := reflection.NewServerReflectionClient(conn).
		ServerReflectionInfo(ctx)
	if err != nil {
		return err
	}
	ask := func(request *reflection.ServerReflectionRequest) (*reflection.ServerReflectionResponse, error) {
		if err := call.Send(request); err != nil && err != io.EOF {
			return nil, err
		}
		return call.Recv()
	}
	list, err := ask(&reflection.ServerReflectionRequest{
		MessageRequest: &reflection.ServerReflectionRequest_ListServices{
			ListServices: "*"}})
	if err != nil {
		return err
	}
	for _, service := range list.GetListServicesResponse().GetService() {
		say("service", service.Name)
		answer, err := ask(&reflection.ServerReflectionRequest{
			MessageRequest: &reflection.ServerReflectionRequest_FileContainingSymbol{
				FileContainingSymbol: service.Name}})
		if err != nil {
			return err
		}
		for _, encoded := range answer.GetFileDescriptorResponse().GetFileDescriptorProto() {
			file := &descriptorpb.FileDescriptorProto{}
			if err := proto.Unmarshal(encoded, file); err != nil {
				return err
			}
			say("file", file.GetName(), len(encoded))
		}
	}
	if err := call.CloseSend(); err != nil {
		return err
	}
	return follow(call.Recv, func(*reflection.ServerReflectionResponse) {})
}
