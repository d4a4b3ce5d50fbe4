use super::*;

const APIS: [Api; 3] = [Api::Token, Api::Send, Api::Upload];

/// The letters of the actions of the token API, custom/send and media/upload.
fn letters(errcode: i64) -> String {
    let row = row(errcode).unwrap_or_else(|| panic!("{errcode} is in no row"));
    APIS.map(|api| match row.action(api) {
        Action::Ok => 'o',
        Action::Retry => 'r',
        Action::RenewToken => 't',
        Action::ReuploadMedia => 'm',
        Action::Slow { .. } => 's',
        Action::Closed(Refused::OutOfTime) => 'w',
        Action::Closed(Refused::OutOfCount) => 'W',
        Action::Drop { alert: false } => 'd',
        Action::Drop { alert: true } => 'D',
        Action::Ignore => 'i',
        Action::Alert { .. } => 'a',
        Action::Doubtful { .. } => '?',
    })
    .iter()
    .collect()
}

#[test]
fn every_known_errcode_has_its_action() {
    let expected: &[(&str, &[i64])] = &[
        ("ooo", &[0]),
        ("rrr", &[-1]),
        ("att", &[40001, 40014, 41001]),
        ("?tt", &[42001]),
        ("?mm", &[40007, 46001, 40118, 40121]),
        ("sss", &[45011]),
        ("?ww", &[45015]),
        ("?WW", &[45047]),
        (
            "?dd",
            &[
                40003, 40004, 40005, 40006, 40008, 40009, 40035, 40097, 40137, 41006, 43004, 43019, 44004, 45001,
                45002, 45003, 45004, 45005, 45006, 45008, 46004, 48002, 50005, 70000,
            ],
        ),
        ("?d?", &[65400, 65407, 65414]),
        ("?DD", &[40033, 41005, 43104, 44001, 44002, 48008]),
        ("aDD", &[50001, 50002]),
        ("aDa", &[40013]),
        (
            "aaa",
            &[
                40002, 40125, 40164, 40200, 40243, 41002, 41004, 43002, 43003, 45009, 45035, 48001, 48004, 48006,
                50004, 50007, 61003, 61004, 61007, 61024, 89503, 89506, 89507,
            ],
        ),
        ("?i?", &[45072, 45080, 45081, 76001, 76002, 76003, 76004, 76021, 76022]),
        ("???", &[40201, 40202, 40203, 42007, 47001]),
    ];
    for (letters_of_all, codes) in expected {
        for errcode in *codes {
            assert_eq!(letters(*errcode), *letters_of_all, "{errcode}");
        }
    }
}

#[test]
fn no_code_is_in_two_rows() {
    for (index, row) in TABLE.iter().enumerate() {
        assert!(row.first <= row.last);
        for other in &TABLE[index + 1..] {
            assert!(row.last < other.first || other.last < row.first, "{} and {}", row.first, other.first);
        }
    }
}

#[test]
fn a_token_call_never_drops_a_message_for_what_only_the_account_is_to_blame() {
    for row in TABLE {
        let action = row.action(Api::Token);
        assert!(
            matches!(action, Action::Ok | Action::Retry | Action::Slow { .. } | Action::Alert { .. } | UNKNOWN),
            "{}: {action:?}",
            row.first
        );
    }
}

#[test]
fn what_an_administrator_refused_waits_as_long_as_wechat_says() {
    let pause = |errcode| row(errcode).map(|row| row.action(Api::Token));
    assert_eq!(pause(89507), Some(Action::Alert { pause: Duration::from_secs(3_600) }));
    assert_eq!(pause(89506), Some(Action::Alert { pause: Duration::from_secs(86_400) }));
}

#[test]
fn an_unlisted_code_is_in_no_row() {
    assert!(row(12_345).is_none());
}
