//! Against a small HTTP server that answers as it is told.

use super::*;
use crate::{
    CircuitPolicy,
    testing::{Reaction, Server, Standing},
};
use amrutam_kernel::Sensitive;
use amrutam_tls::Trust;
use std::time::Duration;

const TAKEN: &str =
    r#"{"SMSMessage":{"Sid":"s1","To":"09812345678","Body":"x","Status":"queued","DetailedStatusCode":21010}}"#;

fn settings(base_url: &str) -> ExotelSettings {
    let trust = Trust::load(None).unwrap();
    ExotelSettings {
        network: Network { base_url: base_url.to_owned(), timeout_ms: 500, plain_allowed: false, trust },
        account_sid: "amrutam1".to_owned(),
        api_key: "key".to_owned(),
        api_token: "token".to_owned().into(),
        sender: "AMRTAM".to_owned(),
        dlt_entity_id: "1701".to_owned(),
    }
}

fn made(settings: &ExotelSettings) -> Result<ExotelSms, InvalidGatewaySettings> {
    let clock: Arc<dyn Clock> = Arc::new(Standing);
    ExotelSms::new(settings, Circuit::new("sms", Arc::clone(&clock), CircuitPolicy::STANDARD), clock)
}

fn sms(text: &str) -> Sms {
    Sms {
        message: "01890a5d-ac96-774b-bcce-b302099a8057".parse().unwrap(),
        correlation_id: "flow-1".parse().unwrap(),
        to: Sensitive::new("+919812345678".to_owned()),
        template: "1707160000000000001".to_owned(),
        text: Sensitive::new(text.to_owned()),
    }
}

async fn sent(reaction: Reaction) -> Result<(), SmsError> {
    let server = Server::start([reaction]).await;
    made(&settings(&format!("http://{}", server.address))).unwrap().send(&sms("hello")).await
}

#[tokio::test]
async fn a_text_goes_out_as_the_provider_wants_it() {
    for (text, body, encoding) in [
        ("Amrutam: on 3 Aug & 10:30", "Amrutam%3A+on+3+Aug+%26+10%3A30", "plain"),
        ("वैद्य", "%E0%A4%B5%E0%A5%88%E0%A4%A6%E0%A5%8D%E0%A4%AF", "unicode"),
    ] {
        let server = Server::start([Reaction::Answers(200, "", TAKEN.to_owned())]).await;
        let exotel = made(&settings(&format!("http://{}", server.address))).unwrap();
        exotel.send(&sms(text)).await.unwrap();
        let requests = server.requests();
        assert_eq!(requests.len(), 1);
        let (head, sent) = requests[0].split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("POST /v1/Accounts/amrutam1/Sms/send.json HTTP/1.1\r\n"), "{head}");
        assert!(head.to_lowercase().contains("authorization: basic a2v5onrva2vu"), "{head}");
        assert_eq!(
            sent,
            format!(
                "From=AMRTAM&To=%2B919812345678&Body={body}&EncodingType={encoding}&SmsType=transactional&DltEntityId=1701\
                 &DltTemplateId=1707160000000000001&CustomField=01890a5d-ac96-774b-bcce-b302099a8057"
            )
        );
    }
}

#[tokio::test]
async fn each_answer_says_what_to_do() {
    let transient = |result| match result {
        Err(SmsError::Transient { retry_after, .. }) => retry_after,
        other => panic!("{other:?}"),
    };
    let answers = |status, head, body: &str| Reaction::Answers(status, head, body.to_owned());
    let exception = r#"{"RestException":{"Status":400,"Message":"Invalid Recipient [+919812345678]"}}"#;
    // A refusal, without its words: they quote the number.
    assert_eq!(sent(answers(400, "", exception)).await, Err(SmsError::Permanent("http_400".to_owned())));
    let dead = TAKEN.replace("queued", "failed_dnd");
    assert_eq!(sent(answers(200, "", &dead)).await, Err(SmsError::Permanent("failed_dnd".to_owned())));
    // Ours to mend: no balance, a wrong key.
    for status in [401, 403, 503] {
        assert_eq!(transient(sent(answers(status, "", exception)).await), None, "{status}");
    }
    let limited = sent(answers(429, "Retry-After: 7\r\n", exception)).await;
    assert_eq!(transient(limited), Some(Duration::from_secs(7)));
    for lost in [
        answers(500, "", exception),
        answers(200, "", "<html>"),
        Reaction::HangsUp,
        Reaction::Waits,
        Reaction::StopsHalfway,
        Reaction::Floods,
    ] {
        let result = sent(lost.clone()).await;
        assert!(matches!(&result, Err(SmsError::Unknown(why)) if !why.contains("9812345678")), "{lost:?}: {result:?}");
    }
    // Nobody listens.
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let away = made(&settings(&format!("http://{free}"))).unwrap().send(&sms("hello")).await;
    assert_eq!(transient(away), None);
}

#[tokio::test]
async fn a_provider_that_fails_is_left_alone() {
    let failing = (0..20).map(|_| Reaction::Answers(500, "", String::new()));
    let server = Server::start(failing).await;
    let exotel = made(&settings(&format!("http://{}", server.address))).unwrap();
    for _ in 0..5 {
        assert!(matches!(exotel.send(&sms("hello")).await, Err(SmsError::Unknown(_))));
    }
    let open = exotel.send(&sms("hello")).await;
    assert!(matches!(&open, Err(SmsError::Transient { .. })), "{open:?}");
    assert_eq!(server.requests().len(), 5, "the circuit is open");
}

#[test]
fn settings_that_can_not_be_used_are_told_at_the_start() {
    let refused = |change: fn(&mut ExotelSettings)| {
        let mut settings = settings("https://api.in.exotel.com");
        change(&mut settings);
        made(&settings).err()
    };
    assert_eq!(refused(|_| {}), None);
    assert_eq!(refused(|settings| settings.account_sid = "../x".to_owned()), Some(InvalidGatewaySettings::Key));
    assert_eq!(refused(|settings| settings.api_token = String::new().into()), Some(InvalidGatewaySettings::Key));
    assert_eq!(refused(|settings| settings.sender.clear()), Some(InvalidGatewaySettings::Key));
    assert_eq!(refused(|settings| settings.dlt_entity_id.clear()), Some(InvalidGatewaySettings::Key));
    let plain = refused(|settings| settings.network.base_url = "http://api.in.exotel.com".to_owned());
    assert_eq!(plain, Some(InvalidGatewaySettings::Unencrypted));
}
