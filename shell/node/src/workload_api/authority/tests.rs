//! Frames of other people's clients, whole, split, padded, compressed and hostile.

use super::*;
use proptest::prelude::*;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const STREAM: [u8; 4] = [0, 0, 0, 1];
/// `run%2Ftabard%2Fworkload.sock` as a literal of the static name 1 (`:authority`), added to the dynamic table.
fn percent_encoded() -> Vec<u8> {
    let value = b"run%2Ftabard%2Fworkload.sock";
    let mut block = vec![0x41, low_byte(value.len())];
    block.extend_from_slice(value);
    block
}

fn frame(kind: u8, flags: u8, payload: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    write_frame(kind, flags, STREAM, payload, &mut out);
    out
}

fn client(frames: &[Vec<u8>]) -> Vec<u8> {
    [PREFACE, &frames.concat()].concat()
}

fn transcode(bytes: &[u8]) -> Result<Vec<u8>, HeaderError> {
    let mut out = Vec::new();
    Transcoder::default().feed(bytes, &mut out)?;
    Ok(out)
}

/// The header lists behind the preface, read by a decoder that starts fresh at each block.
fn lists(mut bytes: &[u8]) -> Vec<Vec<(String, String)>> {
    bytes = bytes.strip_prefix(PREFACE).expect("preface");
    let (mut lists, mut block) = (Vec::new(), Vec::new());
    while let Some((head, rest)) = bytes.split_first_chunk::<9>() {
        let len = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
        let (payload, next) = rest.split_at(len);
        bytes = next;
        if head[3] != HEADERS && head[3] != CONTINUATION {
            continue;
        }
        block.extend_from_slice(payload);
        if head[4] & END_HEADERS != 0 {
            let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
            let list = Decoder::new().decode(&block).unwrap();
            lists.push(
                list.into_iter()
                    .map(|(name, value)| (text(name), text(value)))
                    .collect(),
            );
            block.clear();
        }
    }
    lists
}

fn authority_of(bytes: &[u8]) -> String {
    lists(bytes)[0]
        .iter()
        .find(|(name, _)| name == ":authority")
        .unwrap()
        .1
        .clone()
}

#[test]
fn a_socket_path_becomes_localhost() {
    let bytes = client(&[frame(HEADERS, END_HEADERS, &percent_encoded())]);
    assert_eq!(authority_of(&transcode(&bytes).unwrap()), "localhost");
}

#[test]
fn a_huffman_coded_path_becomes_localhost() {
    // RFC 7541 appendix C.4.1: `www.example.com`, Huffman coded.
    let coded = [
        0x41, 0x8c, 0xf1, 0xe3, 0xc2, 0xe5, 0xf2, 0x3a, 0x6b, 0xa0, 0xab, 0x90, 0xf4, 0xff,
    ];
    let bytes = client(&[frame(HEADERS, END_HEADERS, &coded)]);
    assert_eq!(authority_of(&transcode(&bytes).unwrap()), "localhost");
}

#[test]
fn a_second_request_that_refers_to_the_table_is_understood() {
    // 0xbe is the newest entry of the dynamic table (62): the path of the first request.
    let bytes = client(&[
        frame(HEADERS, END_HEADERS, &percent_encoded()),
        frame(HEADERS, END_HEADERS, &[0xbe, 0x82]),
    ]);
    let lists = lists(&transcode(&bytes).unwrap());
    assert_eq!(
        lists[1],
        [
            (":authority".into(), "localhost".into()),
            (":method".into(), "GET".into())
        ]
    );
}

#[test]
fn padding_priority_and_continuation_are_cut_off_and_joined() {
    let block = percent_encoded();
    let (head, tail) = block.split_at(7);
    let padded = [&[3][..], &[0x80, 0, 0, 0, 9], head, &[0, 0, 0]].concat();
    let bytes = client(&[
        frame(HEADERS, PADDED | PRIORITY | END_STREAM, &padded),
        frame(CONTINUATION, END_HEADERS, tail),
    ]);
    let out = transcode(&bytes).unwrap();
    assert_eq!(authority_of(&out), "localhost");
    assert_eq!(out[PREFACE.len() + 4], END_STREAM | END_HEADERS);
}

#[test]
fn other_frames_pass_byte_for_byte() {
    let bytes = client(&[
        frame(4, 0, &[0; 6]),
        frame(0, END_STREAM, b"data"),
        frame(6, 0, &[7; 8]),
    ]);
    assert_eq!(transcode(&bytes).unwrap(), bytes);
}

#[test]
fn a_long_list_is_split_into_continuations() {
    // One literal of 3000 bytes put into the table, then referred to nine times.
    let mut block = vec![0x40, 1, b'x', 0x7f];
    let long = 3000 - 127;
    block.extend([low_byte(long & 0x7f) | 0x80, low_byte(long >> 7)]);
    block.extend(vec![b'v'; 3000]);
    block.extend([0xbe; 9]);
    let out = transcode(&client(&[frame(HEADERS, END_HEADERS, &block)])).unwrap();
    assert_eq!(lists(&out)[0].len(), 10);
    assert!(out.len() > FRAME_BYTES_MAX);
}

#[test]
fn hostile_frames_end_the_connection() {
    let over = u8::MAX;
    for (frames, error) in [
        (
            vec![vec![1, 0, 0, HEADERS, 0, 0, 0, 0, 1]],
            HeaderError::FrameTooLarge,
        ),
        (
            vec![frame(HEADERS, PADDED | END_HEADERS, &[])],
            HeaderError::FrameLayout,
        ),
        (
            vec![frame(HEADERS, PADDED | END_HEADERS, &[over, 0x82])],
            HeaderError::FrameLayout,
        ),
        (
            vec![frame(HEADERS, PRIORITY | END_HEADERS, &[0; 4])],
            HeaderError::FrameLayout,
        ),
        (
            vec![frame(CONTINUATION, END_HEADERS, &[])],
            HeaderError::NotContiguous,
        ),
        (
            vec![frame(HEADERS, 0, &[0x82]), frame(0, 0, b"x")],
            HeaderError::NotContiguous,
        ),
        (
            vec![frame(HEADERS, END_HEADERS, &[0xff, 0xff, 0xff])],
            HeaderError::Compression,
        ),
        (
            vec![
                frame(HEADERS, 0, &[0x82; FRAME_BYTES_MAX]),
                frame(CONTINUATION, 0, &[0x82]),
            ],
            HeaderError::BlockTooLarge,
        ),
    ] {
        assert_eq!(transcode(&client(&frames)), Err(error), "{frames:?}");
    }
}

#[test]
fn a_compression_bomb_is_refused() {
    let mut block = vec![0x40, 1, b'x', 0x7f, 0x81, 0x1e];
    block.extend(vec![b'v'; 127 + 1 + 30 * 128]);
    block.extend([0xbe; 200]);
    assert_eq!(
        transcode(&client(&[frame(HEADERS, END_HEADERS, &block)])),
        Err(HeaderError::ListTooLarge)
    );
}

proptest! {
    #[test]
    fn splitting_the_bytes_changes_nothing(cuts in prop::collection::vec(0_usize..120, 0..12)) {
        let bytes = client(&[
            frame(4, 0, &[0; 6]),
            frame(HEADERS, END_HEADERS, &percent_encoded()),
            frame(0, END_STREAM, b"hello"),
        ]);
        let mut cuts: Vec<_> = cuts.into_iter().map(|cut| cut.min(bytes.len())).collect();
        cuts.extend([0, bytes.len()]);
        cuts.sort_unstable();
        let (mut transcoder, mut out) = (Transcoder::default(), Vec::new());
        for pair in cuts.windows(2) {
            transcoder.feed(&bytes[pair[0]..pair[1]], &mut out).unwrap();
        }
        prop_assert_eq!(out, transcode(&bytes).unwrap());
    }

    #[test]
    fn no_bytes_make_it_panic_or_grow_without_limit(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        let (mut transcoder, mut out) = (Transcoder::default(), Vec::new());
        if transcoder.feed(&client(&[bytes]), &mut out).is_ok() {
            prop_assert!(transcoder.pending.len() <= FRAME_BYTES_MAX + 9);
        }
    }
}
