//! The supervisor as its own program, so that tests can start it. `tabard __launch` calls the same function.

fn main() -> std::process::ExitCode {
    tabard_node::launch::helper_main()
}
