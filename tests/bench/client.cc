// The events of a walstream, read with the stock grpc++, as fast as it does:
//
//	client ADDRESS ROWS [batch]
//
// Ends when so many rows have come, and says how many seconds passed between the
// first message and the last. batch asks for Batch messages.

#include <google/protobuf/arena.h>
#include <grpcpp/grpcpp.h>

#include <chrono>
#include <cstdlib>
#include <cstring>
#include <iostream>

#include "plugin.grpc.pb.h"

static bool
is_row(const plugin::ServerMessage &m)
{
	return m.has_insert() || m.has_update() || m.has_delete_();
}

static unsigned long
rows_in(const plugin::ServerMessage &m)
{
	unsigned long n = 0;

	if (!m.has_batch())
		return is_row(m);
	for (auto &one : m.batch().messages())
		n += is_row(one);
	return n;
}

int
main(int argc, char **argv)
{
	if (argc < 3)
		return 2;
	unsigned long wanted = std::strtoul(argv[2], nullptr, 10), got = 0;
	auto stub = plugin::PluginService::NewStub(
	    grpc::CreateChannel(argv[1], grpc::InsecureChannelCredentials()));
	grpc::ClientContext context;
	// As protobuf's manual has it: what a message consists of is in one place,
	// and goes at once.
	static char memory[4 << 20];
	google::protobuf::ArenaOptions options;
	options.initial_block = memory;
	options.initial_block_size = sizeof(memory);
	google::protobuf::Arena arena(options);
	auto call = argc > 3 ? stub->Subscribe(&context)
			     : stub->Session(&context);

	if (argc > 3) {
		plugin::ClientMessage start;
		start.mutable_start()->set_batch(true);
		call->Write(start);
	}
	std::chrono::steady_clock::time_point start;
	while (got < wanted) {
		auto message = google::protobuf::Arena::CreateMessage<
		    plugin::ServerMessage>(&arena);
		if (!call->Read(message))
			break;
		if (got == 0)
			start = std::chrono::steady_clock::now();
		got += rows_in(*message);
		arena.Reset();
	}
	if (got >= wanted) {
		std::cout << std::chrono::duration<double>(
				 std::chrono::steady_clock::now() - start)
				 .count()
			  << std::endl;
		std::_Exit(0);
	}
	std::cerr << call->Finish().error_message() << std::endl;
	return 1;
}
