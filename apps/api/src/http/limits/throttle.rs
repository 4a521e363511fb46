//! One request's place in its class.

use super::LimitFields;
use crate::{
    http::{RequestInfo, client_address::ClientAddress},
    problem::{Code, Problem},
    services::Services,
    settings::{ClassLimit, RouteClass},
};
use actix_web::{FromRequest, HttpMessage, HttpRequest, dev::Payload, web::Data};
use amrutam_kernel::{AccountId, LimitKey, LimitPolicy, RateLimit};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use metrics::counter;
use std::{
    cell::Cell,
    future::{Ready, ready},
    num::NonZeroU32,
    rc::Rc,
    time::Duration,
};

/// For handlers of a class that counts subjects: says whom a request is about.
#[derive(Clone)]
pub(crate) struct Throttle(Rc<Place>);

struct Place {
    services: Data<Services>,
    info: Rc<RequestInfo>,
    class: RouteClass,
    limit: ClassLimit,
    address: ClientAddress,
    account: Option<AccountId>,
    counted: Cell<bool>,
}

impl FromRequest for Throttle {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let throttle = request.extensions().get::<Self>().cloned();
        ready(throttle.ok_or_else(|| Problem::internal("the limits were not passed")))
    }
}

impl Throttle {
    pub(super) fn new(
        services: Data<Services>,
        info: Rc<RequestInfo>,
        class: RouteClass,
        address: ClientAddress,
        account: Option<AccountId>,
    ) -> Self {
        let limit = services.quotas.limits.of(class);
        Self(Rc::new(Place { services, info, class, limit, address, account, counted: Cell::new(false) }))
    }

    /// Whether there is no subject to wait for.
    pub(super) fn knows_all(&self) -> bool {
        !self.0.class.counts_subjects()
    }

    /// Counts this request, once. The subject is an id or a normalized e-mail address; only a keyed digest of it is stored.
    /// Without one the address alone is counted.
    ///
    /// # Errors
    /// When there were too many: the request must not go on.
    pub(crate) async fn count(&self, subject: Option<&str>) -> Result<(), Problem> {
        if subject.is_some() && !self.0.class.counts_subjects() {
            return Err(Problem::internal("a subject is counted where the route's class counts none"));
        }
        let quotas = &self.0.services.quotas;
        if !quotas.limits.enabled || self.0.counted.replace(true) {
            return Ok(());
        }
        let asked = self.0.limits(subject);
        let limits: Vec<_> = asked.iter().map(|(_, limit)| limit.clone()).collect();
        let decision = quotas.limiter.check(&limits).await;
        let names = asked.iter().map(|(name, _)| name.as_str());
        // It is set once: nothing is counted twice.
        drop(self.0.info.limits.set(LimitFields::of(names.zip(&decision.states))));
        if decision.allowed {
            return Ok(());
        }
        counter!("amrutam_requests_limited_total", "class" => self.0.class.as_str()).increment(1);
        let seconds = whole_seconds(decision.retry_after()).max(1);
        Err(Problem::new(Code::RateLimited).detail(format!("try again in {seconds} s")).retry_after(seconds))
    }
}

impl Place {
    /// Each with its policy's name.
    fn limits(&self, subject: Option<&str>) -> Vec<(String, RateLimit)> {
        let class = self.class.as_str();
        let limit = |name: &str, requests, key| (name.to_owned(), RateLimit { key, policy: self.policy(requests) });
        let requests = self.limit.requests;
        let by_address = LimitKey::new(class, "address", self.address);
        if self.class.counts_subjects() {
            // Who is signed in tries passwords with no more right than others, so the account does not count here.
            // Whoever shows that they are the subject is counted alone, not with everybody behind their address.
            let is_own = self.account.is_some_and(|account| subject == Some(&*account.to_string()));
            // Under a key of its own, too: whoever knows the password alone must not use up the tries of who is in.
            let kind = if is_own { "owner" } else { "subject" };
            let subject = subject.map(|subject| limit(class, requests, self.about(kind, subject)));
            if is_own {
                return subject.into_iter().collect();
            }
            let requests = self.limit.address_requests.unwrap_or(requests);
            return subject.into_iter().chain([limit(&format!("{class}-address"), requests, by_address)]).collect();
        }
        let by_account = |account| LimitKey::new(class, "account", account);
        vec![limit(class, requests, self.account.map_or(by_address, by_account))]
    }

    fn policy(&self, requests: u32) -> LimitPolicy {
        let window = Duration::from_secs(self.limit.window_secs.into());
        LimitPolicy::new(NonZeroU32::new(requests).unwrap_or(NonZeroU32::MIN), window)
    }

    fn about(&self, kind: &'static str, subject: &str) -> LimitKey {
        let class = self.class.as_str();
        let digest = self.services.quotas.digests.digest(&format!("limit.{class}"), subject);
        LimitKey::new(class, kind, URL_SAFE_NO_PAD.encode(digest))
    }
}

/// Rounded up: who comes back then must not be too early.
pub(super) fn whole_seconds(duration: Duration) -> u32 {
    let seconds = duration.as_secs() + u64::from(duration.subsec_nanos() > 0);
    u32::try_from(seconds).unwrap_or(u32::MAX)
}
