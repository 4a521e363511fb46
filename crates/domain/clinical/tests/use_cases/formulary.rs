//! Looking up what may be prescribed.

use super::*;
use amrutam_clinical::{
    model::{FormularyFilter, ItemCode, PrescribingList},
    use_cases::search_formulary,
};
use amrutam_kernel::{Denial, Limit, PageRequest};

fn page(limit: u16, after: Option<ItemCode>) -> PageRequest<ItemCode> {
    PageRequest { limit: Limit::new(limit).unwrap(), after }
}

async fn codes(stage: &Stage, filter: &FormularyFilter) -> Vec<String> {
    let found = search_formulary(stage.deps(), &stage.as_doctor(), filter, page(100, None)).await.unwrap();
    assert_eq!(found.version, "ayurveda-1");
    found.page.items.into_iter().map(|item| item.code.into()).collect()
}

#[tokio::test]
async fn a_preparation_is_found_by_what_people_type() {
    let stage = stage().await;
    let by = async |text: &str| codes(&stage, &FormularyFilter { text: Some(text.into()), ..Default::default() }).await;
    for typed in
        ["avipattikara", "AVIPATTIKARA Cūrṇa", "churna avipatti".split(' ').next_back().unwrap(), "ayu-chu-005"]
    {
        assert!(by(typed).await.contains(&"AYU-CHU-005".to_owned()), "{typed}");
    }
    assert!(by("curna avipattikara").await.contains(&"AYU-CHU-005".to_owned()), "without diacritics, in any order");
    assert_eq!(by("no such thing").await, Vec::<String>::new());
    let lists = FormularyFilter { form: Some(Form::Churna), list: Some(PrescribingList::A), ..Default::default() };
    let found = search_formulary(stage.deps(), &stage.as_doctor(), &lists, page(100, None)).await.unwrap().page.items;
    assert!(!found.is_empty());
    assert!(found.iter().all(|item| item.form == Form::Churna && item.list == PrescribingList::A));
}

#[tokio::test]
async fn pages_follow_each_other_and_make_up_the_whole() {
    let stage = stage().await;
    let formulary = Formulary::parse(include_str!("../../../../../infra/formulary/ayurveda-v1.json")).unwrap();
    let all: Vec<_> = formulary.items().map(|item| item.code.clone()).collect();
    let (mut seen, mut after) = (Vec::new(), None);
    loop {
        let filter = FormularyFilter::default();
        let found = search_formulary(stage.deps(), &stage.as_doctor(), &filter, page(7, after)).await.unwrap().page;
        seen.extend(found.items.into_iter().map(|item| item.code));
        after = found.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(seen, all);
}

#[tokio::test]
async fn it_is_for_those_who_prescribe() {
    let stage = stage().await;
    let look = search_formulary(stage.deps(), &stage.as_patient(), &FormularyFilter::default(), page(7, None)).await;
    assert!(matches!(refused(look), ClinicalError::Denied(Denial::Forbidden)));
    assert_eq!(stage.audited("formulary.read"), [Outcome::Denied]);
}
