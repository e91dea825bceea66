//! Tests of the whole crate: plans on the simulated kernel.

mod commands;
mod golden;
mod linux;
mod properties;
mod samples;
mod scenes;
mod states;
mod tunnels;

#[test]
fn names_and_macs_survive_any_input() {
    corpus::survive("name", |input| {
        let text = String::from_utf8_lossy(input);
        if let Ok(name) = text.parse::<crate::LinkName>() {
            assert!(name.to_string() == text && text.len() < 16);
        }
        if let Ok(mac) = text.parse::<crate::Mac>() {
            assert_eq!(mac.to_string().parse(), Ok(mac));
        }
    });
}
