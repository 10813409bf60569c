//! Makes the stubs, with protoc.

fn main() -> std::io::Result<()> {
    tonic_prost_build::configure()
        .build_server(false)
        .compile_protos(&["../../proto/plugin.proto"], &["../../proto"])
}
