//! Paths as the specification spells them, and tiles that agree with the tree in memory.

use super::*;
use crate::merkle::{
    MemoryTree, consistency_proof, inclusion_proof, leaf_hash, root_of_size, verify_consistency,
    verify_inclusion,
};
use identity::Digest;
use std::collections::BTreeMap;

type Files = BTreeMap<String, Vec<u8>>;

impl TileSource for Files {
    fn read(&self, path: &str) -> Result<Vec<u8>, ReadError> {
        self.get(path)
            .cloned()
            .ok_or_else(|| ReadError::Missing(path.into()))
    }
}

fn leaf(n: u64) -> Digest {
    leaf_hash(&n.to_be_bytes())
}

fn build(size: u64) -> (Files, TileBuilder) {
    let (mut files, mut builder) = (Files::new(), TileBuilder::new());
    for n in 0..size {
        for (path, bytes) in builder.push(leaf(n)) {
            files.insert(path.to_string(), bytes);
        }
    }
    for (path, bytes) in builder.partial_tiles() {
        files.insert(path.to_string(), bytes);
    }
    (files, builder)
}

#[test]
fn paths_are_spelled_as_the_specification_does() {
    for (path, text) in [
        (
            TilePath::full(TileKind::Hashes(0), 1_234_067),
            "tile/0/x001/x234/067",
        ),
        (TilePath::full(TileKind::Hashes(2), 0), "tile/2/000"),
        (TilePath::full(TileKind::Entries, 999), "tile/entries/999"),
        (TilePath::full(TileKind::Entries, 1000), "tile/entries/x001/000"),
        (
            TilePath {
                kind: TileKind::Hashes(0),
                index: 273,
                width: 112,
            },
            "tile/0/273.p/112",
        ),
    ] {
        assert_eq!(path.to_string(), text);
        assert_eq!(text.parse(), Ok(path));
    }
    for text in [
        "tile/0/1",
        "tile/00/001",
        "tile/8/000",
        "tile/0/x000/001",
        "tile/0/001.p/0",
        "tile/0/001.p/256",
        "tile/0/001.p/01",
        "tile/0/x001",
        "tile/entries/",
        "/tile/0/000",
        "tile/0/001/002",
        "tile/-1/000",
    ] {
        assert_eq!(text.parse::<TilePath>(), Err(TilePathError), "{text}");
    }
}

/// The two examples of the specification: 70,000 entries, and 256.
#[test]
fn a_tree_has_the_tiles_that_the_specification_counts() {
    let count = |size, level, full| {
        TilePath::of_tree(size)
            .filter(|path| path.kind == TileKind::Hashes(level) && path.is_full() == full)
            .count()
    };
    let partial =
        |size, level| TilePath::of_tree(size).find(|p| p.kind == TileKind::Hashes(level) && !p.is_full());
    assert_eq!(
        (count(70_000, 0, true), partial(70_000, 0).unwrap().width),
        (273, 112)
    );
    assert_eq!(
        (count(70_000, 1, true), partial(70_000, 1).unwrap().width),
        (1, 17)
    );
    assert_eq!(
        (count(70_000, 2, true), partial(70_000, 2).unwrap().width),
        (0, 1)
    );
    assert_eq!(TilePath::of_tree(70_000).count(), 273 + 1 + 1 + 1 + 1);
    assert_eq!(
        (
            count(256, 0, true),
            partial(256, 0),
            partial(256, 1).unwrap().width
        ),
        (1, None, 1)
    );
    assert_eq!(TilePath::of_tree(0).count(), 0);
}

#[test]
fn a_builder_makes_exactly_the_tiles_of_its_tree() {
    for size in [0, 1, 255, 256, 257, 70_000] {
        let (mut files, builder) = build(size);
        let tree: MemoryTree = (0..size).map(leaf).collect();
        assert_eq!(builder.root(), root_of_size(size, &tree).unwrap());
        // A full tile of level 0 is made before the partial ones that lead to it are gone: none is left over here.
        for path in TilePath::of_tree(size) {
            assert!(files.remove(&path.to_string()).is_some(), "{path} of {size}");
        }
        assert_eq!(files.len(), 0);
    }
}

#[test]
fn a_builder_resumes_where_its_files_end() {
    for size in [0, 1, 255, 256, 700, 65_536, 65_537] {
        let (files, builder) = build(size);
        let mut resumed = TileBuilder::resume(size, &files).unwrap();
        let mut straight = builder;
        for n in size..size + 300 {
            assert_eq!(resumed.push(leaf(n)), straight.push(leaf(n)));
        }
        assert_eq!(resumed.root(), straight.root());
        assert_eq!(resumed.partial_tiles(), straight.partial_tiles());
    }
}

#[test]
fn proofs_from_tiles_verify() {
    let size = 66_000;
    let (files, builder) = build(size);
    let tree = TileTree::new(&files, size);
    for index in [0, 1, 255, 256, 65_535, 65_536, 65_999] {
        let proof = inclusion_proof(index, size, &tree).unwrap();
        assert!(verify_inclusion(&leaf(index), index, size, &builder.root(), &proof).is_ok());
    }
    for old in [1, 255, 256, 257, 65_536, 65_900, 66_000] {
        let old_root = root_of_size(old, &tree).unwrap();
        let proof = consistency_proof(old, size, &tree).unwrap();
        assert!(verify_consistency(old, &old_root, size, &builder.root(), &proof).is_ok());
    }
}

#[test]
fn a_partial_tile_may_be_gone_once_the_full_one_exists() {
    let (files, _) = build(300);
    let (mut longer, _) = build(600);
    longer.insert("tile/1/000.p/1".into(), files["tile/1/000.p/1"].clone());
    assert!(!longer.contains_key("tile/0/001.p/44"));
    let expected = root_of_size(300, &TileTree::new(&files, 300)).unwrap();
    assert_eq!(root_of_size(300, &TileTree::new(&longer, 300)), Ok(expected));
}

#[test]
fn a_node_outside_the_tree_is_not_read() {
    let (files, _) = build(600);
    let outside = TileError::Outside {
        level: 2,
        index: 74,
        size: 257,
    };
    assert_eq!(root_of_size(300, &TileTree::new(&files, 257)), Err(outside));
}

#[test]
fn a_tile_of_the_wrong_length_is_refused() {
    let (mut files, _) = build(10);
    files.get_mut("tile/0/000.p/10").unwrap().push(0);
    let path = TilePath {
        kind: TileKind::Hashes(0),
        index: 0,
        width: 10,
    };
    assert_eq!(
        root_of_size(10, &TileTree::new(&files, 10)),
        Err(TileError::Length {
            path,
            found: 321,
            wanted: 320
        })
    );
    files.clear();
    let missing = TileError::Read(ReadError::Missing("tile/0/000.p/10".into()));
    assert_eq!(root_of_size(10, &TileTree::new(&files, 10)), Err(missing));
}

#[test]
fn bundles_read_back_and_a_cut_one_is_refused() {
    let mut bundle = Vec::new();
    let longest = vec![7; 65_535];
    for entry in [b"", &b"one"[..], &longest] {
        append_to_bundle(&mut bundle, entry).unwrap();
    }
    assert_eq!(entries_of_bundle(&bundle).unwrap(), [b"", &b"one"[..], &longest]);
    assert_eq!(
        entries_of_bundle(&bundle[..bundle.len() - 1]),
        Err(BundleError::Truncated(2))
    );
    assert_eq!(entries_of_bundle(&[0]), Err(BundleError::Truncated(0)));
    assert_eq!(
        append_to_bundle(&mut bundle, &vec![0; 65_536]),
        Err(BundleError::EntryTooLong(65_536))
    );
}
