//! Turns the published Workload API definition into Rust, without a protobuf compiler on the machine.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo:rerun-if-changed=proto/workloadapi.proto");
    let files = protox::compile(["proto/workloadapi.proto"], ["proto"])?;
    tonic_prost_build::configure()
        .build_client(true)
        .build_transport(false)
        .compile_fds(files)?;
    Ok(())
}
