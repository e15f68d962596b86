//! Fuzz target for the translation of bodies between frames and JSON.

use majordomus_core::{Form, Frames, Reply, ToClient};
use majordomus_wire::{Codec, Dialect, Json, Side, in_frames};

use crate::command::Command;
use crate::source::Source;

/// The maximum number of frames of a body that survives translation unchanged.
const ELEMENTS_MAX: usize = 1_016;

/// Translates a body. The first byte chooses the conversion of frames to JSON, and the rest is the
/// body. Any frames must become JSON within its size limit and convert back to the same frames. Any
/// data in JSON format must become frames of no more bytes.
pub fn translate(data: &[u8]) {
    let mut source = Source::new(data);
    let choice = source.byte();
    let dialect = if choice & 1 == 0 { Dialect::Pigato } else { Dialect::Omdp };
    let asked = choice >> 1 & 1;
    let rule = Json::ALL[usize::from(choice >> 2) % Json::ALL.len()];
    let body = source.message().compact();

    let codec = Codec::new(dialect, Side::Client).with_json(rule);
    let reply = Reply { id: "r1".into(), asked, ..Reply::new("", body.clone()) };
    let message = Command::ToClient(ToClient::Final(reply)).written(codec).expect("a reply");
    let data = message.get(if dialect == Dialect::Pigato { 5 } else { 4 }).expect("data");
    checks_json(&body, data, rule);

    let called_json = body.clone().in_form(Form::Json, asked);
    let frames = in_frames(called_json);
    assert_eq!(frames.form(), Form::Frames);
    assert!(frames.bytes() <= body.bytes(), "{body:?} {frames:?}");
}

/// Checks that `data` is the translation of the body.
pub(crate) fn checks_json(body: &Frames, data: &[u8], rule: Json) {
    assert!(data.len() <= 6 * body.bytes() + 13 * body.len() + 4, "{body:?} {data:?}");
    if rule == Json::Raw {
        return;
    }
    assert!(is_json(data), "{body:?} {}", data.escape_ascii());
    let again = in_frames(Frames::from_slices(&[data]).in_form(Form::Json, 0));
    let passed = body.len() == 1 && body.get(0) == Some(data);
    match body.len() {
        // A body that passes through unchanged has the meaning of its own text.
        1 if passed => {}
        0 => assert_eq!(again, Frames::from_slices(&["null"])),
        1..=ELEMENTS_MAX => assert_eq!(again, *body),
        _ => assert_eq!(again.get(0), Some(data)),
    }
}

pub(crate) fn is_json(text: &[u8]) -> bool {
    serde_json::from_slice::<&serde_json::value::RawValue>(text).is_ok()
        && std::str::from_utf8(text).is_ok()
}
