//! Each rule by itself: what it says of one prescription, and that it says nothing once its own fact is another. A rule without a case
//! does not compile.

use super::{prescriptions::complete, *};
use amrutam_clinical::model::{
    Candidate, Decision, Formulary, PrescribedItem, Rule, checks_of_the_whole, decide, decide_item,
};
use std::collections::BTreeSet;

/// How a rule speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Denied,
    Cautioned,
    /// Allowed, with a check that could not run.
    Unchecked,
}

/// What is decided on.
#[derive(Clone)]
struct Asked {
    rules: RuleSet,
    item: Option<FormularyItem>,
    course: Course,
    at: Circumstances,
}

impl Asked {
    fn decided(&self) -> Decision {
        let candidate = self.item.as_ref().map_or(Candidate::Unknown, Candidate::Known);
        decide(&self.rules, candidate, &self.course, &self.at)
    }
}

/// Something that nothing is said against, and which fact of it calls for the rule.
#[expect(clippy::large_enum_variant, reason = "one at a time, in a test")]
enum Case {
    Fact(Verdict, Asked, fn(&mut Asked)),
    /// A rule on how the item is written: against what the formulary has.
    Written(fn(&mut PrescribedItem)),
    /// What no fact answers: the practitioner does.
    Always,
}

fn of(item: Option<FormularyItem>) -> Asked {
    Asked { rules: rules(), item, course: course(), at: plain() }
}

fn known(change: fn(&mut FormularyItem)) -> Asked {
    let mut item = powder();
    change(&mut item);
    of(Some(item))
}

fn e1() -> Asked {
    known(|item| (item.schedule_e1, item.list) = (true, PrescribingList::A))
}

fn item(asked: &mut Asked) -> &mut FormularyItem {
    asked.item.as_mut().unwrap()
}

fn pregnant(flag: fn(&mut FormularyItem)) -> Asked {
    let asked = known(flag);
    Asked { at: Circumstances { pregnancy: Pregnancy::Yes, ..plain() }, ..asked }
}

fn case(rule: Rule) -> Case {
    use Verdict::{Cautioned, Denied, Unchecked};
    let plainly = || known(|_| ());
    match rule {
        Rule::DiagnosisRequired => Case::Fact(Denied, plainly(), |asked| asked.at.diagnosed = false),
        Rule::OwnSystem => Case::Fact(Denied, plainly(), |asked| asked.at.system = System::Unani),
        Rule::ScheduleX => Case::Fact(Denied, plainly(), |asked| item(asked).schedule_x = true),
        Rule::Ndps => Case::Fact(Denied, plainly(), |asked| item(asked).ndps = true),
        Rule::ProhibitedList => Case::Fact(Denied, plainly(), |asked| item(asked).list = PrescribingList::Prohibited),
        // Every mode will do by the set as it is.
        Rule::ListO => Case::Fact(Denied, plainly(), |asked| {
            asked.rules.lists.get_mut(&PrescribingList::O).unwrap().insert(VisitKind::FirstVisit, vec![Mode::Chat]);
        }),
        Rule::ListA => {
            Case::Fact(Denied, known(|item| item.list = PrescribingList::A), |asked| asked.at.mode = Mode::Audio)
        }
        Rule::ListB => {
            let mut at_follow_up = known(|item| item.list = PrescribingList::B);
            at_follow_up.at.visit = VisitKind::FollowUp;
            Case::Fact(Denied, at_follow_up, |asked| asked.at.visit = VisitKind::FirstVisit)
        }
        Rule::AgeKnown => Case::Fact(Denied, plainly(), |asked| asked.at.age_years = None),
        Rule::MinimumAge => Case::Fact(Denied, plainly(), |asked| item(asked).min_age_years = 41),
        Rule::E1Mode => {
            let mut at_follow_up = e1();
            at_follow_up.at.visit = VisitKind::FollowUp;
            Case::Fact(Denied, at_follow_up, |asked| asked.at.mode = Mode::Audio)
        }
        Rule::E1Adult => Case::Fact(Denied, e1(), |asked| asked.at.age_years = Some(17)),
        Rule::E1Duration => Case::Fact(Denied, e1(), |asked| asked.course.days = 31),
        Rule::E1Quantity => Case::Fact(Denied, e1(), |asked| asked.course.quantity = measure("71", Unit::Gram)),
        Rule::E1Caution => Case::Fact(Cautioned, plainly(), |asked| item(asked).schedule_e1 = true),
        Rule::UnknownItem => Case::Fact(Cautioned, plainly(), |asked| asked.item = None),
        Rule::PregnancyAvoid => {
            Case::Fact(Denied, pregnant(|_| ()), |asked| item(asked).pregnancy = PregnancyFlag::Avoid)
        }
        Rule::PregnancyCaution => {
            Case::Fact(Cautioned, pregnant(|_| ()), |asked| item(asked).pregnancy = PregnancyFlag::Caution)
        }
        Rule::PregnancyCheck => {
            Case::Fact(Unchecked, pregnant(|_| ()), |asked| item(asked).pregnancy = PregnancyFlag::Unknown)
        }
        Rule::MineralPregnancy => Case::Fact(Denied, pregnant(|_| ()), |asked| item(asked).mineral = true),
        Rule::MineralMinor => {
            Case::Fact(Cautioned, known(|item| item.mineral = true), |asked| asked.at.age_years = Some(17))
        }
        Rule::DoseBound => Case::Fact(Cautioned, plainly(), |asked| asked.course.times_per_day = 3),
        Rule::DoseCheck => Case::Fact(Unchecked, plainly(), |asked| item(asked).dose = None),
        Rule::ItemName => Case::Written(|item| item.name = "Sitopaladi Churna".into()),
        Rule::ItemForm => Case::Written(|item| item.form = Form::Vati),
        Rule::ItemCode => Case::Written(|item| (item.code, item.form) = (None, Form::Vati)),
        Rule::InteractionCheck | Rule::AllergyCheck => Case::Always,
    }
}

/// What is said as `verdict`, when that is the verdict; what could not be checked stands beside what is weighed.
fn said(decision: &Decision, verdict: Verdict) -> BTreeSet<Rule> {
    let findings = match verdict {
        Verdict::Denied => decision.denials(),
        Verdict::Cautioned | Verdict::Unchecked => decision.cautions(),
    };
    let alike = findings.iter().filter(|finding| finding.unavailable == (verdict == Verdict::Unchecked));
    alike.map(|finding| finding.rule).collect()
}

#[test]
fn each_rule_speaks_for_its_own_fact_and_for_no_other() {
    let formulary = Formulary::parse(include_str!("../../../../../infra/formulary/ayurveda-v1.json")).unwrap();
    for &rule in Rule::ALL {
        let only = BTreeSet::from([rule]);
        match case(rule) {
            Case::Fact(verdict, asked, fact) => {
                let mut with = asked.clone();
                fact(&mut with);
                let (without, with) = (asked.decided(), with.decided());
                assert_eq!(said(&with, verdict), only, "{rule}: {with:?}");
                assert_eq!(without.denials(), [], "{rule}: what is without its fact is allowed");
                assert!(!without.cautions().iter().any(|finding| finding.rule == rule), "{rule}: {without:?}");
            }
            Case::Written(wrongly) => {
                let decided = |item: &PrescribedItem| decide_item(&rules(), &formulary, item, &plain()).unwrap();
                let rightly = complete().items.remove(0);
                let mut written = rightly.clone();
                wrongly(&mut written);
                assert_eq!(said(&decided(&written), Verdict::Denied), only, "{rule}");
                assert_eq!(decided(&rightly), Decision::Allow, "{rule}");
            }
            Case::Always => {
                let checks = checks_of_the_whole(&rules());
                let same = checks.iter().filter(|check| check.rule == rule && check.unavailable);
                assert_eq!(same.count(), 1, "{rule}");
            }
        }
    }
}
