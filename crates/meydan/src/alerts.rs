//! The alerts of `deploy/prometheus/alerts.yml` against the product: every metric and label that a
//! rule names is declared, and every rule says how urgent it is and where to read on.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use runtime::{Metric, MetricKind};
use serde::Deserialize;

/// What Prometheus itself adds to every series of a node.
const TARGET_LABELS: &[&str] = &["instance", "job"];
const FUNCTIONS: &[&str] = &["histogram_quantile", "increase", "rate", "time"];
/// Functions that only make sense over what never falls.
const OF_COUNTERS: &[&str] = &["increase", "rate"];
const AGGREGATIONS: &[&str] = &["max", "min", "sum"];
/// Words with a list of labels behind them.
const GROUPINGS: &[&str] = &["by", "on"];
const KEYWORDS: &[&str] = &["and", "offset", "or", "unless"];

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Rules {
    groups: Vec<Group>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Group {
    name: String,
    rules: Vec<Rule>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Rule {
    alert: String,
    expr: String,
    #[expect(dead_code, reason = "any pause will do")]
    #[serde(default, rename = "for")]
    pending: Option<String>,
    labels: Labels,
    annotations: Annotations,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Labels {
    severity: Severity,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Severity {
    Page,
    Ticket,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Annotations {
    summary: String,
    runbook: String,
}

/// A piece of an expression: a word, a text in quotes, or one other character.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Token<'a> {
    Word(&'a str),
    Text,
    Sign(char),
}

fn tokens(expr: &str) -> Vec<Token<'_>> {
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':' || c == '.';
    let mut found = Vec::new();
    let mut rest = expr.trim_start();
    while let Some(first) = rest.chars().next() {
        let (token, after) = if let Some(text) = rest.strip_prefix('"') {
            (Token::Text, text.split_once('"').unwrap_or_default().1)
        } else if is_word(first) {
            let end = rest.find(|c| !is_word(c)).unwrap_or(rest.len());
            let (word, after) = rest.split_at(end);
            (Token::Word(word), after)
        } else {
            (
                Token::Sign(first),
                rest.strip_prefix(first).unwrap_or_default(),
            )
        };
        found.push(token);
        rest = after.trim_start();
    }
    found
}

/// What an expression names.
#[derive(Default)]
struct Named {
    /// Labels of the series it reads.
    labels: BTreeSet<&'static str>,
    /// Labels that aggregations keep; none when it does not aggregate.
    kept: Option<BTreeSet<String>>,
}

/// Reads an expression; what is wrong with it, or what it names.
fn read(expr: &str, declared: &[Metric]) -> Result<Named, String> {
    let tokens = tokens(expr);
    let mut named = Named::default();
    let mut grouped: BTreeSet<String> = BTreeSet::new();
    let mut at = 0;
    while let Some(token) = tokens.get(at) {
        at += 1;
        let Token::Word(word) = *token else { continue };
        let opens = tokens.get(at) == Some(&Token::Sign('('));
        if word.starts_with(|c: char| c.is_ascii_digit()) || KEYWORDS.contains(&word) {
            // Numbers, durations, and what joins two sides.
        } else if GROUPINGS.contains(&word) && opens {
            let (list, end) = list(&tokens, at + 1, ')');
            at = end;
            if word == "by" {
                named.kept.get_or_insert_default().extend(list.clone());
            }
            grouped.extend(list);
        } else if AGGREGATIONS.contains(&word) {
            named.kept.get_or_insert_default();
        } else if FUNCTIONS.contains(&word) && opens {
            let argument = tokens.get(at + 1);
            if let (true, Some(Token::Word(metric))) = (OF_COUNTERS.contains(&word), argument)
                && declared
                    .iter()
                    .any(|known| known.name == *metric && known.kind != MetricKind::Counter)
            {
                return Err(format!("{word} of {metric}, which is no counter"));
            }
        } else {
            let labels = labels_of(word, declared)?;
            if tokens.get(at) == Some(&Token::Sign('{')) {
                let (matched, end) = list(&tokens, at + 1, '}');
                at = end;
                if let Some(label) = matched
                    .iter()
                    .find(|label| !labels.contains(&label.as_str()))
                {
                    return Err(format!("{word} has no label {label}"));
                }
            }
            named.labels.extend(labels);
        }
    }
    match grouped
        .iter()
        .find(|label| !named.labels.contains(label.as_str()))
    {
        Some(label) => Err(format!("nothing it reads has the label {label}")),
        None => Ok(named),
    }
}

/// The words up to a closing sign, and where what follows begins.
fn list(tokens: &[Token<'_>], from: usize, close: char) -> (Vec<String>, usize) {
    let inside = tokens.iter().skip(from);
    let inside: Vec<_> = inside
        .take_while(|token| **token != Token::Sign(close))
        .collect();
    let words = inside.iter().filter_map(|token| match token {
        Token::Word(word) => Some((*word).to_owned()),
        Token::Text | Token::Sign(_) => None,
    });
    (words.collect(), from + inside.len() + 1)
}

/// The labels of a series, by the name that Prometheus gives it.
fn labels_of(series: &str, declared: &[Metric]) -> Result<Vec<&'static str>, String> {
    let own: &[&'static str] = if series == "up" {
        &[]
    } else {
        let is_it = |metric: &&Metric| match metric.kind {
            MetricKind::Counter | MetricKind::Gauge => metric.name == series,
            MetricKind::Histogram => ["_bucket", "_sum", "_count"]
                .iter()
                .any(|part| series.strip_suffix(part) == Some(metric.name)),
        };
        let metric = declared.iter().find(is_it);
        metric
            .ok_or_else(|| format!("{series} is no metric of the product"))?
            .labels
    };
    let bucket = series.ends_with("_bucket").then_some("le");
    Ok([own, TARGET_LABELS]
        .concat()
        .into_iter()
        .chain(bucket)
        .collect())
}

/// Labels that a summary shows, `{{ $labels.x }}`.
fn shown(summary: &str) -> impl Iterator<Item = &str> {
    summary.split("$labels.").skip(1).map(|rest| {
        let end = |c: char| !c.is_ascii_alphanumeric() && c != '_';
        rest.split(end).next().unwrap_or_default()
    })
}

/// What is wrong with a rule.
fn judge(rule: &Rule, headings: &BTreeSet<String>, declared: &[Metric]) -> Result<(), String> {
    let named = read(&rule.expr, declared)?;
    let known = |label: &str| match &named.kept {
        Some(kept) => kept.contains(label),
        None => named.labels.contains(label),
    };
    if let Some(label) = shown(&rule.annotations.summary).find(|label| !known(label)) {
        return Err(format!(
            "the summary shows {label}, which the result has not"
        ));
    }
    if rule.annotations.summary.trim().is_empty() {
        return Err("it has no summary".to_owned());
    }
    let heading = rule.annotations.runbook.strip_prefix("docs/runbooks.md#");
    match heading.filter(|heading| headings.contains(*heading)) {
        Some(_) => Ok(()),
        None => Err(format!("there is no {}", rule.annotations.runbook)),
    }
}

fn file(path: &str) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    std::fs::read_to_string(root.join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The headings of the runbooks, as links name them.
fn headings() -> BTreeSet<String> {
    file("docs/runbooks.md")
        .lines()
        .filter_map(|line| line.strip_prefix("## "))
        .map(|heading| heading.to_lowercase().replace(' ', "-"))
        .collect()
}

fn rules() -> Vec<(String, Rule)> {
    let rules: Rules = serde_saphyr::from_str(&file("deploy/prometheus/alerts.yml")).unwrap();
    let groups = rules.groups.into_iter();
    groups
        .flat_map(|group| {
            let name = group.name;
            group
                .rules
                .into_iter()
                .map(move |rule| (name.clone(), rule))
        })
        .collect()
}

#[test]
fn every_alert_is_made_of_declared_metrics_and_says_what_to_do() {
    let (headings, declared) = (headings(), crate::compose::metrics());
    let rules = rules();
    let mut wrong = BTreeMap::new();
    let mut names = BTreeSet::new();
    for (group, rule) in &rules {
        if !names.insert(&rule.alert) {
            wrong.insert(
                format!("{group}: {}", rule.alert),
                "its name is taken".to_owned(),
            );
        }
        if let Err(why) = judge(rule, &headings, &declared) {
            wrong.insert(format!("{group}: {}", rule.alert), why);
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    for urgency in [Severity::Page, Severity::Ticket] {
        let as_urgent = |(_, rule): &&(String, Rule)| rule.labels.severity == urgency;
        let count = rules.iter().filter(as_urgent).count();
        assert!(count > 10, "only {count} alerts were read as {urgency:?}");
    }
}

#[test]
fn every_runbook_belongs_to_an_alert() {
    let linked: BTreeSet<String> = rules()
        .into_iter()
        .filter_map(|(_, rule)| Some(rule.annotations.runbook.split_once('#')?.1.to_owned()))
        .collect();
    assert_eq!(headings(), linked);
}

#[test]
fn what_the_product_does_not_have_is_found() {
    let declared = crate::compose::metrics();
    for (expr, why) in [
        ("meydan_auth_logins > 1", "no metric"),
        ("sum(rate(meydan_auth_login_total[5m])) > 1", "no metric"),
        ("meydan_db_pool_wait_seconds > 1", "no metric"),
        ("meydan_db_abandoned_total_count > 1", "no metric"),
        ("averageof(up) > 1", "no metric"),
        (
            "meydan_outbox_lag_seconds{schema=\"identity\"} > 1",
            "no label schema",
        ),
        (
            "sum by (user) (meydan_outbox_lag_seconds) > 1",
            "label user",
        ),
        ("up and on (context) meydan_build_info", "label context"),
        (
            "sum by (le) (meydan_db_pool_wait_seconds_sum) > 1",
            "label le",
        ),
        ("rate(meydan_outbox_lag_seconds[5m]) > 1", "no counter"),
    ] {
        let said = read(expr, &declared).err().unwrap_or_default();
        assert!(said.contains(why), "{expr}: {said:?}");
    }
    for expr in [
        "up{job=\"x\"} == 0",
        "histogram_quantile(0.99, sum by (le) (rate(meydan_db_pool_wait_seconds_bucket[5m]))) > 1",
        "meydan_build_info unless meydan_build_info offset 1h == meydan_build_info",
    ] {
        assert!(read(expr, &declared).is_ok(), "{expr}");
    }
}

#[test]
fn a_rule_without_urgency_summary_or_runbook_is_no_rule() {
    const RULE: &str = "groups: [{name: g, rules: [{alert: A, expr: 'max by (country) \
        (meydan_auth_otp_country_closed) == 1', labels: {severity: page}, annotations: {summary: \
        'closed: {{ $labels.country }}', runbook: 'docs/runbooks.md#otp-budget'}}]}]";
    let judged = |from: &str, to: &str| {
        assert!(RULE.contains(from), "{from}");
        let text = RULE.replacen(from, to, 1);
        let mut rules: Rules = serde_saphyr::from_str(&text).map_err(|e| e.to_string())?;
        let rule = rules.groups.remove(0).rules.remove(0);
        judge(&rule, &headings(), &crate::compose::metrics())
    };
    assert_eq!(judged("A", "B"), Ok(()));
    for (from, to) in [
        ("severity: page", ""),
        ("severity: page", "severity: urgent"),
        ("summary: 'closed: {{ $labels.country }}', ", ""),
        ("closed: {{ $labels.country }}", " "),
        ("$labels.country", "$labels.instance"),
        (", runbook: 'docs/runbooks.md#otp-budget'", ""),
        ("#otp-budget", "#nothing"),
        ("docs/", "https://example.com/"),
    ] {
        assert!(judged(from, to).is_err(), "{from} -> {to}");
    }
}
