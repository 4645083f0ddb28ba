//! The vectors of RFC 6962's reference code, and properties of all small trees.

use super::*;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;

fn hash(text: &str) -> Option<Digest> {
    Some(Digest::from_bytes(STANDARD.decode(text).ok()?.try_into().ok()?))
}

/// Where a root does not matter, the vectors hold a word: equal words are equal roots.
fn root_named(text: &str) -> Digest {
    hash(text).unwrap_or_else(|| sha256(&[text.as_bytes()]))
}

/// All hashes, or none if one is not 32 bytes: then the case is refused before it reaches the verifier.
fn hashes(texts: Option<&Vec<String>>) -> Option<Vec<Digest>> {
    texts.into_iter().flatten().map(|text| hash(text)).collect()
}

fn tree(size: u64) -> MemoryTree {
    (0..size).map(|n| leaf_hash(&n.to_be_bytes())).collect()
}

fn root(size: u64, tree: &MemoryTree) -> Digest {
    root_of_size(size, tree).unwrap()
}

#[derive(Deserialize)]
struct Roots {
    leaves: Vec<String>,
    roots: Vec<String>,
}

fn unhex(text: &str) -> Vec<u8> {
    let digit = |digit: u8| u8::try_from(char::from(digit).to_digit(16).unwrap()).unwrap();
    let (pairs, _) = text.as_bytes().as_chunks::<2>();
    pairs
        .iter()
        .map(|[high, low]| digit(*high) << 4 | digit(*low))
        .collect()
}

#[test]
fn roots_agree_with_the_reference_vectors() {
    let known: Roots =
        serde_json::from_str(include_str!("../../../../testdata/vectors/rfc6962/roots.json")).unwrap();
    assert_eq!((known.leaves.len(), known.roots.len()), (8, 9));
    let (mut frontier, mut tree) = (Frontier::new(), MemoryTree::default());
    assert_eq!(frontier.root().hex(), known.roots[0]);
    for (leaf, expected) in known.leaves.iter().zip(&known.roots[1..]) {
        let leaf = leaf_hash(&unhex(leaf));
        frontier.push(leaf);
        tree.push(leaf);
        assert_eq!(&frontier.root().hex(), expected);
        assert_eq!(&root(frontier.size(), &tree).hex(), expected);
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct InclusionCase {
    name: String,
    leaf_idx: u64,
    tree_size: u64,
    root: String,
    leaf_hash: String,
    proof: Option<Vec<String>>,
    want_err: bool,
}

#[test]
fn inclusion_proofs_agree_with_the_reference_vectors() {
    let cases: Vec<InclusionCase> = serde_json::from_str(include_str!(
        "../../../../testdata/vectors/rfc6962/inclusion.json"
    ))
    .unwrap();
    let mut good = 0;
    for case in &cases {
        let proven = (|| {
            let proof = hashes(case.proof.as_ref())?;
            let (leaf, root) = (hash(&case.leaf_hash)?, hash(&case.root)?);
            verify_inclusion(&leaf, case.leaf_idx, case.tree_size, &root, &proof).ok()
        })();
        assert_eq!(proven.is_none(), case.want_err, "{}", case.name);
        good += usize::from(proven.is_some());
    }
    assert!(good >= 4 && cases.len() - good >= 80, "{good} of {}", cases.len());
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ConsistencyCase {
    name: String,
    size1: u64,
    size2: u64,
    root1: String,
    root2: String,
    proof: Option<Vec<String>>,
    want_err: bool,
}

#[test]
fn consistency_proofs_agree_with_the_reference_vectors() {
    let cases: Vec<ConsistencyCase> = serde_json::from_str(include_str!(
        "../../../../testdata/vectors/rfc6962/consistency.json"
    ))
    .unwrap();
    let mut good = 0;
    for case in &cases {
        let proven = (|| {
            let proof = hashes(case.proof.as_ref())?;
            let (old, new) = (root_named(&case.root1), root_named(&case.root2));
            verify_consistency(case.size1, &old, case.size2, &new, &proof).ok()
        })();
        assert_eq!(proven.is_none(), case.want_err, "{}", case.name);
        good += usize::from(proven.is_some());
    }
    assert!(good >= 4 && cases.len() - good >= 80, "{good} of {}", cases.len());
}

#[test]
fn every_entry_of_every_small_tree_is_proven_and_no_other() {
    let tree = tree(70);
    for size in 1..=70 {
        let root = root(size, &tree);
        for index in 0..size {
            let leaf = leaf_hash(&index.to_be_bytes());
            let proof = inclusion_proof(index, size, &tree).unwrap();
            assert!(verify_inclusion(&leaf, index, size, &root, &proof).is_ok());
            for other in (0..=size).filter(|other| *other != index) {
                assert!(verify_inclusion(&leaf, other, size, &root, &proof).is_err());
            }
        }
    }
}

#[test]
fn every_small_tree_continues_every_smaller_one_and_no_other() {
    let (tree, forked) = (
        tree(70),
        (1..71)
            .map(|n: u64| leaf_hash(&n.to_be_bytes()))
            .collect::<MemoryTree>(),
    );
    for new in 1..=70 {
        for old in 1..=new {
            let proof = consistency_proof(old, new, &tree).unwrap();
            let (old_root, new_root) = (root(old, &tree), root(new, &tree));
            assert!(
                verify_consistency(old, &old_root, new, &new_root, &proof).is_ok(),
                "{old} {new}"
            );
            let fork = root(old, &forked);
            assert_eq!(
                verify_consistency(old, &fork, new, &new_root, &proof),
                Err(ProofError::Root)
            );
            if old < new {
                assert!(verify_consistency(new, &new_root, old, &old_root, &proof).is_err());
                assert!(verify_consistency(old, &old_root, new, &root(new, &forked), &proof).is_err());
                assert!(verify_consistency(old, &old_root, new, &new_root, &proof[1..]).is_err());
            }
        }
    }
}

#[test]
fn a_frontier_survives_its_bytes_and_refuses_others() {
    let mut frontier = Frontier::new();
    for n in 0..300_u64 {
        let again = Frontier::from_bytes(&frontier.to_bytes()).unwrap();
        assert_eq!(again, frontier);
        frontier.push(leaf_hash(&n.to_be_bytes()));
    }
    assert_eq!(frontier.root(), root(300, &tree(300)));
    let bytes = frontier.to_bytes();
    assert_eq!(
        Frontier::from_bytes(&bytes[..bytes.len() - 1]),
        Err(FrontierError)
    );
    assert_eq!(
        Frontier::from_bytes(&bytes[..bytes.len() - 32]),
        Err(FrontierError)
    );
    assert_eq!(Frontier::from_bytes(&[0; 7]), Err(FrontierError));
}
