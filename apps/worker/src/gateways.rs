//! Which gateways there are, and who carries texts.

use crate::{settings::SmsSettings, worker::BuildError};
use amrutam_crypto::SystemClock;
use amrutam_gateways::{
    Circuit, CircuitPolicy, ExotelSms, Network, Razorpay, RazorpaySettings, Stripe, StripeSettings,
};
use amrutam_notifications::SmsTemplates;
use amrutam_payments::ports::PaymentGateway;
use amrutam_settings::{Environment, GatewayKind, Payments};
use amrutam_tls::Trust;
use std::sync::Arc;

/// The one of the settings; none where no secret is set.
pub(crate) fn connect(
    settings: &Payments,
    environment: Environment,
) -> Result<Vec<Arc<dyn PaymentGateway>>, BuildError> {
    let Some(secret) = &settings.key_secret else { return Ok(Vec::new()) };
    let secret = secret.expose().to_owned().into();
    let clock = || Arc::new(SystemClock);
    let circuit = |name| Circuit::new(name, clock(), CircuitPolicy::STANDARD);
    let trust = Trust::load(settings.ca_file.as_deref())?;
    let network = |own: &str| Network {
        base_url: settings.base_url.clone().unwrap_or_else(|| own.to_owned()),
        timeout_ms: settings.timeout_ms,
        plain_allowed: environment == Environment::Development,
        trust: trust.clone(),
    };
    let gateway: Arc<dyn PaymentGateway> = match settings.gateway {
        GatewayKind::Razorpay => {
            let razorpay = RazorpaySettings {
                network: network("https://api.razorpay.com"),
                key_id: settings.key_id.clone().unwrap_or_default(),
                key_secret: secret,
                checkout_url: settings.checkout_url.clone(),
            };
            Arc::new(Razorpay::new(&razorpay, circuit("razorpay"), clock())?)
        }
        GatewayKind::Stripe => {
            let stripe = StripeSettings { network: network("https://api.stripe.com"), secret_key: secret };
            Arc::new(Stripe::new(&stripe, circuit("stripe"), clock())?)
        }
    };
    Ok(vec![gateway])
}

/// The way out for texts, and the ids under which they are registered.
pub(crate) struct Sms {
    pub(crate) sender: ExotelSms,
    pub(crate) templates: SmsTemplates,
}

/// As it is set up; nothing where no texts are sent.
pub(crate) fn connect_sms(settings: &SmsSettings, environment: Environment) -> Result<Option<Sms>, BuildError> {
    let Some(exotel) = settings.exotel(environment)? else { return Ok(None) };
    let clock = || Arc::new(SystemClock);
    let sender = ExotelSms::new(&exotel, Circuit::new("sms", clock(), CircuitPolicy::STANDARD), clock())?;
    Ok(Some(Sms { sender, templates: settings.templates.read()? }))
}
