//! The Markdown pages: what they link to exists.

use crate::tree::tracked;
use std::path::Path;

/// Targets of `[text](target)` that lie in the repository, without their `#fragment`.
fn local_links(markdown: &str) -> Vec<&str> {
    let targets = markdown
        .split("](")
        .skip(1)
        .filter_map(|rest| rest.split(')').next());
    targets
        .filter(|target| {
            !target.contains("://") && !target.starts_with('#') && !target.contains(char::is_whitespace)
        })
        .filter_map(|target| target.split('#').next())
        .collect()
}

#[test]
fn every_local_link_leads_somewhere() {
    let Some((root, names)) = tracked() else { return };
    let mut broken = Vec::new();
    for name in names
        .iter()
        .filter(|name| Path::new(name).extension().is_some_and(|ending| ending == "md"))
    {
        let page = root.join(name);
        let text = std::fs::read_to_string(&page).unwrap();
        for target in local_links(&text) {
            if !page.parent().is_some_and(|folder| folder.join(target).exists()) {
                broken.push(format!("{name}: {target}"));
            }
        }
    }
    assert_eq!(broken, Vec::<String>::new());
}

#[test]
fn links_to_other_sites_and_to_places_on_the_page_are_left_alone() {
    let page = "[a](x/y.md#z) [b](https://host/x) [c](#here) [d](../up.md)";
    assert_eq!(local_links(page), ["x/y.md", "../up.md"]);
}
