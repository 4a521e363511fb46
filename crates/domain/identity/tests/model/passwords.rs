//! Which passwords are taken.

use amrutam_identity::model::{InvalidPassword, NewPassword};
use amrutam_kernel::Sensitive;

fn parse(text: &str) -> Result<NewPassword, InvalidPassword> {
    NewPassword::parse(Sensitive::new(text.to_owned()))
}

fn checked(text: &str) -> Result<(), InvalidPassword> {
    let (email, name) = ("asha.nair@example.in".parse().unwrap(), "Asha Nair".parse().unwrap());
    parse(text)?.check_guessable(&email, &name)
}

#[test]
fn length_is_counted_in_characters() {
    for (text, taken) in [
        ("1234567".to_owned(), false),
        ("12345678".to_owned(), true),
        ("\u{0905}".repeat(7), false),
        ("\u{0905}".repeat(128), true),
        ("\u{0905}".repeat(129), false),
        (String::new(), false),
    ] {
        assert_eq!(parse(&text).is_ok(), taken, "{} characters", text.chars().count());
    }
    assert!(matches!(parse("short"), Err(InvalidPassword::Length)));
}

#[test]
fn what_others_would_guess_is_refused() {
    for guessed in [
        "password",
        "12345678",
        "qwertyuiop",
        "iloveyou",
        "P@ssw0rd",
        "aaaaaaaaaaaa",
        "abcdefgh",
        "asha.nair",
        "Nairasha",
        "asha.nair@example.in",
        "amrutam1",
        "superman",
        "sunshine1",
        "11111111111111111111",
    ] {
        assert_eq!(checked(guessed), Err(InvalidPassword::Guessable), "{guessed}");
    }
}

#[test]
fn no_kind_of_character_is_asked_for() {
    for fine in [
        "correct horse battery staple",
        "kvjqzmxw",
        "\u{0915}\u{093e}\u{0932}\u{0947} \u{092c}\u{093e}\u{0926}\u{0932}",
        "aruna likes old trains",
        "7Fk!q9-zR",
        &"long but dull ".repeat(9),
    ] {
        assert_eq!(checked(fine), Ok(()), "{fine}");
    }
}
