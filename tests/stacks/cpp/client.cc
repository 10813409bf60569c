// One call to a walstream with grpc++: see ../README.md.

#include <google/protobuf/descriptor.pb.h>
#include <grpcpp/grpcpp.h>

#include <chrono>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <iterator>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "health.grpc.pb.h"
#include "plugin.grpc.pb.h"
#include "reflection.grpc.pb.h"

using Options = std::map<std::string, std::string>;
using Channel = std::shared_ptr<grpc::Channel>;

template <typename... Words>
static void
say(const Words &...words)
{
	static std::mutex saying;
	std::lock_guard<std::mutex> held(saying);
	const char *gap = "";

	((std::cout << gap << words, gap = " "), ...);
	std::cout << std::endl;
}

static std::string
read_file(const Options &options, const char *name)
{
	auto found = options.find(name);
	if (found == options.end())
		return "";
	std::ifstream file(found->second);
	return { std::istreambuf_iterator<char>(file), {} };
}

static Channel
connect(const std::string &address, const Options &options)
{
	grpc::ChannelArguments settings;
	auto most = options.find("max_message");
	auto span = options.find("keepalive_s");

	if (most == options.end())
		settings.SetMaxReceiveMessageSize(-1);
	else if (most->second != "0")
		settings.SetMaxReceiveMessageSize(std::stoi(most->second));
	if (span != options.end()) {
		settings.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS,
		    std::stoi(span->second) * 1000);
		settings.SetInt(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0);
	}
	auto credentials = grpc::InsecureChannelCredentials();
	if (options.count("ca"))
		credentials = grpc::SslCredentials({ read_file(options, "ca"),
		    read_file(options, "key"), read_file(options, "cert") });
	return grpc::CreateCustomChannel(address, credentials, settings);
}

// What is said with each call.
static void
prepare(grpc::ClientContext &context, const Options &options)
{
	auto token = options.find("token");
	auto span = options.find("deadline_ms");

	if (token != options.end())
		context.AddMetadata("authorization", "Bearer " + token->second);
	if (span != options.end())
		context.set_deadline(std::chrono::system_clock::now() +
		    std::chrono::milliseconds(std::stoi(span->second)));
}

static void
show(const plugin::ServerMessage &m)
{
	if (m.has_started())
		say("started", m.started().start_lsn());
	else if (m.has_begin())
		say("begin", m.begin().pg_lsn());
	else if (m.has_commit())
		say("commit", m.commit().pg_lsn());
	else if (m.has_insert())
		say("insert", m.insert().pg_lsn(), m.insert().json_payload());
	else if (m.has_update())
		say("update", m.update().pg_lsn(), m.update().json_payload());
	else if (m.has_delete_())
		say("delete", m.delete_().pg_lsn(), m.delete_().json_payload());
	else if (m.has_truncate())
		say("truncate", m.truncate().pg_lsn());
	else
		say("what is", m.ShortDebugString());
}

// Does what standard input says. The program ends before this does.
template <typename Call>
static void
obey(grpc::ClientContext &context, Call &call)
{
	std::string word;

	while (std::cin >> word) {
		if (word == "ack") {
			plugin::ClientMessage message;
			uint64_t lsn;
			std::cin >> lsn;
			message.mutable_ack()->set_pg_lsn(lsn);
			call.Write(message);
		} else if (word == "close") {
			call.WritesDone();
		} else if (word == "cancel") {
			context.TryCancel();
		}
	}
}

static grpc::Status
stream(const Channel &channel, const std::string &method,
    const Options &options)
{
	auto stub = plugin::PluginService::NewStub(channel);
	// Neither ends before the thread below.
	auto &context = *new grpc::ClientContext;
	prepare(context, options);
	auto call = (method == "subscribe" ? stub->Subscribe(&context)
					   : stub->Session(&context))
			.release();
	if (method == "subscribe") {
		plugin::ClientMessage message;
		auto start = message.mutable_start();
		if (options.count("consumer"))
			start->set_consumer(options.at("consumer"));
		if (options.count("tables"))
			start->add_tables(options.at("tables"));
		call->Write(message);
	}
	std::thread([&context, call] { obey(context, *call); }).detach();
	call->WaitForInitialMetadata();
	// The wait ends with the call, too, and nothing shows which it was.
	say("headers");
	plugin::ServerMessage message;
	while (call->Read(&message))
		show(message);
	return call->Finish();
}

static grpc::Status
check(const Channel &channel, const std::string &, const Options &options)
{
	auto stub = grpc::health::v1::Health::NewStub(channel);
	grpc::ClientContext context;
	grpc::health::v1::HealthCheckRequest request;
	grpc::health::v1::HealthCheckResponse answer;

	prepare(context, options);
	if (options.count("service"))
		request.set_service(options.at("service"));
	grpc::Status status = stub->Check(&context, request, &answer);
	if (status.ok())
		say("health", answer.status());
	return status;
}

static grpc::Status
watch(const Channel &channel, const std::string &, const Options &options)
{
	auto stub = grpc::health::v1::Health::NewStub(channel);
	grpc::health::v1::HealthCheckRequest request;
	grpc::health::v1::HealthCheckResponse answer;
	auto &context = *new grpc::ClientContext;

	prepare(context, options);
	if (options.count("service"))
		request.set_service(options.at("service"));
	auto call = stub->Watch(&context, request);
	std::thread([&context] {
		std::string line;
		while (std::getline(std::cin, line))
			if (line == "cancel")
				context.TryCancel();
	}).detach();
	while (call->Read(&answer))
		say("health", answer.status());
	return call->Finish();
}

static grpc::Status
reflect(const Channel &channel, const std::string &, const Options &options)
{
	namespace v1 = grpc::reflection::v1;
	auto stub = v1::ServerReflection::NewStub(channel);
	grpc::ClientContext context;
	v1::ServerReflectionRequest request;
	v1::ServerReflectionResponse list, answer;
	google::protobuf::FileDescriptorProto file;

	prepare(context, options);
	auto call = stub->ServerReflectionInfo(&context);
	request.set_list_services("*");
	call->Write(request);
	call->Read(&list);
	for (auto &service : list.list_services_response().service()) {
		say("service", service.name());
		request.set_file_containing_symbol(service.name());
		call->Write(request);
		if (!call->Read(&answer))
			break;
		for (auto &bytes : answer.file_descriptor_response()
				       .file_descriptor_proto())
			if (file.ParseFromString(bytes))
				say("file", file.name(), bytes.size());
	}
	call->WritesDone();
	while (call->Read(&answer))
		;
	return call->Finish();
}

int
main(int argc, char **argv)
{
	const std::map<std::string,
	    grpc::Status (*)(const Channel &, const std::string &,
		const Options &)>
	    methods = { { "session", stream }, { "subscribe", stream },
		    { "check", check }, { "watch", watch },
		    { "reflect", reflect } };
	Options options;

	if (argc < 3)
		return 2;
	for (int i = 3; i < argc; i++) {
		std::string word = argv[i];
		auto at = word.find('=');
		options[word.substr(0, at)] = word.substr(at + 1);
	}
	grpc::Status status = methods.at(argv[2])(connect(argv[1], options),
	    argv[2], options);
	say("status", status.error_code(), status.error_message());
	// Not exit(): the reader of standard input is still waiting.
	std::_Exit(0);
}
