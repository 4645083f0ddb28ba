//! A process inside a run wants to be a person.

use super::installation::Installation;

#[test]
fn a_process_inside_a_run_is_turned_away_from_the_peoples_pages() {
    let installation = Installation::start();
    let page = format!("https://localhost:{}/ui/login", installation.people.port());
    let curl = [
        "curl",
        "-sk",
        "--noproxy",
        "*",
        "-w",
        " %{http_code}",
        page.as_str(),
    ];
    // The same command, outside.
    let mut outside = installation.home.command(std::path::Path::new(curl[0]));
    let outside = super::home::Ended::of(outside.args(&curl[1..]).spawn().unwrap()).ok();
    assert!(outside.ends_with(" 200"), "{outside}");

    let inside = installation.billing(&curl).ok();
    assert!(
        inside.contains("PEOPLE_INSIDE_RUN") && inside.ends_with(" 403"),
        "{inside}"
    );
    // And its children.
    let shell = format!("curl -sk --noproxy '*' -w ' %{{http_code}}' {page}");
    let child = installation
        .billing(&["sh", "-c", &format!("{shell}; true")])
        .ok();
    assert!(child.ends_with(" 403"), "{child}");
    installation.recorded("refusals.counted", &["PEOPLE_INSIDE_RUN"]);
    // Nor does it get an invite: the admin socket is not for runs.
    let invite = installation.tabard_within("principal invite you");
    let asked = installation.billing(&["sh", "-c", &invite]);
    assert_ne!(asked.code, Some(0));
    assert!(!asked.out.contains("/ui/invite#"), "{}", asked.out);
}
