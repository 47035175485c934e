//! Events as GitHub's webhooks send them, each as one short embed. Pure.
//!
//! What is left out on purpose: labels, assignments, and whatever else happens many times a day and
//! calls for nobody. An event without words here is taken and says nothing.

use serde_json::Value;

use super::embed::{Author, Embed, Foreign, cut, first_line};

const GREEN: u32 = 0x001f_883d;
const RED: u32 = 0x00cf_222e;
const PURPLE: u32 = 0x0082_50df;
const GREY: u32 = 0x0059_636e;
const BLUE: u32 = 0x0009_69da;

/// Commits of a push that are shown.
const SHOWN_COMMITS: usize = 10;
/// Characters of a text that is quoted.
const QUOTED_CHARS: usize = 500;

/// What an event says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Told {
    /// Nothing: a ping, or nothing worth a message.
    Nothing,
    /// A message.
    Message(Foreign),
}

/// Reads an event by the name its header bears; none when the body is not of its form.
pub(crate) fn read(event: &str, sent: &Value) -> Option<Told> {
    sent.as_object()?;
    let told = match event {
        "push" => push(sent),
        "create" | "delete" => reference(event, sent),
        "pull_request" => pull_request(sent),
        "pull_request_review" => review(sent),
        "issues" => issue(sent),
        "issue_comment" | "commit_comment" | "pull_request_review_comment" => comment(event, sent),
        "discussion" | "discussion_comment" => discussion(event, sent),
        "release" => release(sent),
        "star" | "watch" => star(event, sent),
        "fork" => fork(sent),
        "member" => member(sent),
        "public" => simple(sent, "is public now", GREEN),
        "workflow_run" => workflow(sent),
        _ => return Some(Told::Nothing),
    };
    Some(told.map_or(Told::Nothing, |embed| {
        let message = Foreign {
            embeds: vec![signed(embed, sent)],
            ..Foreign::default()
        };
        Told::Message(message.fitted())
    }))
}

/// With who did it.
fn signed(mut embed: Embed, sent: &Value) -> Embed {
    embed.author = Some(Author {
        name: text(sent, "/sender/login").to_owned(),
        url: owned(sent, "/sender/html_url"),
        icon_url: owned(sent, "/sender/avatar_url"),
    });
    embed
}

fn push(sent: &Value) -> Option<Embed> {
    let name = text(sent, "/ref");
    let branch = name.strip_prefix("refs/heads/")?;
    let commits = sent.get("commits").and_then(Value::as_array)?;
    let short = |sha: &str| sha.chars().take(7).collect::<String>();
    if sent.get("forced").and_then(Value::as_bool) == Some(true) {
        let after = short(text(sent, "/after"));
        let title = format!(
            "[{}] Branch {branch} was force-pushed to {after}",
            repository(sent)
        );
        return Some(Embed {
            url: owned(sent, "/compare"),
            ..titled(title, RED)
        });
    }
    // Making and deleting a branch has an event of its own.
    if commits.is_empty() {
        return None;
    }
    let lines = commits.iter().take(SHOWN_COMMITS).map(|commit| {
        let (id, url) = (short(text(commit, "/id")), text(commit, "/url"));
        let what = cut(first_line(text(commit, "/message")), 72);
        let author = text(commit, "/author/name");
        format!("[`{id}`]({url}) {what} – {author}")
    });
    let mut lines: Vec<String> = lines.collect();
    if let Some(more @ 1..) = commits.len().checked_sub(SHOWN_COMMITS) {
        lines.push(format!("… and {more} more"));
    }
    let count = match commits.len() {
        1 => "1 new commit".to_owned(),
        count => format!("{count} new commits"),
    };
    Some(Embed {
        description: lines.join("\n"),
        url: owned(sent, "/compare"),
        ..titled(format!("[{}:{branch}] {count}", repository(sent)), BLUE)
    })
}

fn reference(event: &str, sent: &Value) -> Option<Embed> {
    let kind = match text(sent, "/ref_type") {
        "branch" => "Branch",
        "tag" => "Tag",
        _ => return None,
    };
    let (what, colour) = match event {
        "create" => ("created", GREEN),
        _ => ("deleted", RED),
    };
    simple(
        sent,
        &format!("{kind} {what}: {}", text(sent, "/ref")),
        colour,
    )
}

fn pull_request(sent: &Value) -> Option<Embed> {
    let merged = sent
        .pointer("/pull_request/merged")
        .and_then(Value::as_bool)
        == Some(true);
    let (what, colour) = match (text(sent, "/action"), merged) {
        ("opened", _) => ("opened", GREEN),
        ("reopened", _) => ("reopened", GREEN),
        ("ready_for_review", _) => ("ready for review", GREEN),
        ("closed", true) => ("merged", PURPLE),
        ("closed", false) => ("closed", RED),
        _ => return None,
    };
    numbered(
        sent,
        "pull_request",
        &format!("Pull request {what}"),
        colour,
    )
}

fn review(sent: &Value) -> Option<Embed> {
    if text(sent, "/action") != "submitted" {
        return None;
    }
    let (what, colour) = match text(sent, "/review/state") {
        "approved" => ("approved", GREEN),
        "changes_requested" => ("needs changes", RED),
        // The comments of a review come by themselves.
        _ if text(sent, "/review/body").is_empty() => return None,
        _ => ("reviewed", GREY),
    };
    let embed = numbered(
        sent,
        "pull_request",
        &format!("Pull request {what}"),
        colour,
    )?;
    Some(Embed {
        description: quoted(sent, "/review/body"),
        url: owned(sent, "/review/html_url").or_else(|| embed.url.clone()),
        ..embed
    })
}

fn issue(sent: &Value) -> Option<Embed> {
    let (what, colour) = match text(sent, "/action") {
        "opened" => ("opened", GREEN),
        "reopened" => ("reopened", GREEN),
        "closed" => ("closed", PURPLE),
        "deleted" => ("deleted", RED),
        "transferred" => ("transferred", GREY),
        _ => return None,
    };
    numbered(sent, "issue", &format!("Issue {what}"), colour)
}

fn comment(event: &str, sent: &Value) -> Option<Embed> {
    if text(sent, "/action") != "created" {
        return None;
    }
    let title = match event {
        "commit_comment" => {
            let id: String = text(sent, "/comment/commit_id").chars().take(7).collect();
            format!("[{}] Comment on commit {id}", repository(sent))
        }
        "issue_comment" if sent.pointer("/issue/pull_request").is_none() => {
            title_of(sent, "issue", "Comment on issue")
        }
        "issue_comment" => title_of(sent, "issue", "Comment on pull request"),
        _ => title_of(sent, "pull_request", "Comment on pull request"),
    };
    Some(Embed {
        description: quoted(sent, "/comment/body"),
        url: owned(sent, "/comment/html_url"),
        ..titled(title, GREY)
    })
}

fn discussion(event: &str, sent: &Value) -> Option<Embed> {
    let (what, body, colour) = match (event, text(sent, "/action")) {
        ("discussion", "created") => ("Discussion opened", "/discussion/body", GREEN),
        ("discussion", "answered") => ("Discussion answered", "/answer/body", PURPLE),
        ("discussion_comment", "created") => ("Comment on discussion", "/comment/body", GREY),
        _ => return None,
    };
    Some(Embed {
        description: quoted(sent, body),
        ..numbered(sent, "discussion", what, colour)?
    })
}

fn release(sent: &Value) -> Option<Embed> {
    if text(sent, "/action") != "published" {
        return None;
    }
    let name = match text(sent, "/release/name") {
        "" => text(sent, "/release/tag_name"),
        name => name,
    };
    Some(Embed {
        description: quoted(sent, "/release/body"),
        url: owned(sent, "/release/html_url"),
        ..simple(sent, &format!("Release published: {name}"), BLUE)?
    })
}

fn star(event: &str, sent: &Value) -> Option<Embed> {
    match (event, text(sent, "/action")) {
        ("star", "created") | ("watch", "started") => simple(sent, "New star", BLUE),
        _ => None,
    }
}

fn fork(sent: &Value) -> Option<Embed> {
    let to = text(sent, "/forkee/full_name");
    Some(Embed {
        url: owned(sent, "/forkee/html_url"),
        ..simple(sent, &format!("Forked to {to}"), GREY)?
    })
}

fn member(sent: &Value) -> Option<Embed> {
    if text(sent, "/action") != "added" {
        return None;
    }
    let who = text(sent, "/member/login");
    simple(sent, &format!("New collaborator: {who}"), GREEN)
}

fn workflow(sent: &Value) -> Option<Embed> {
    let run = "/workflow_run";
    if text(sent, "/action") != "completed" {
        return None;
    }
    let (what, colour) = match text(sent, &format!("{run}/conclusion")) {
        "failure" => ("failed", RED),
        "timed_out" => ("timed out", RED),
        "cancelled" => ("was cancelled", GREY),
        // What goes well calls for nobody.
        _ => return None,
    };
    let name = text(sent, &format!("{run}/name"));
    let branch = text(sent, &format!("{run}/head_branch"));
    Some(Embed {
        url: owned(sent, &format!("{run}/html_url")),
        ..simple(sent, &format!("{name} {what} on {branch}"), colour)?
    })
}

/// Of something with a number and a title, with its text when it is new.
fn numbered(sent: &Value, of: &str, what: &str, colour: u32) -> Option<Embed> {
    let is_new = text(sent, "/action") == "opened";
    let body = format!("/{of}/body");
    sent.pointer(&format!("/{of}/number"))?;
    Some(Embed {
        description: if is_new {
            quoted(sent, &body)
        } else {
            String::new()
        },
        url: owned(sent, &format!("/{of}/html_url")),
        ..titled(title_of(sent, of, what), colour)
    })
}

fn title_of(sent: &Value, of: &str, what: &str) -> String {
    let number = sent.pointer(&format!("/{of}/number"));
    let number = number.and_then(Value::as_u64).unwrap_or_default();
    let title = text(sent, &format!("/{of}/title"));
    format!("[{}] {what} #{number}: {title}", repository(sent))
}

fn simple(sent: &Value, what: &str, colour: u32) -> Option<Embed> {
    Some(Embed {
        url: owned(sent, "/repository/html_url"),
        ..titled(format!("[{}] {what}", repository(sent)), colour)
    })
}

fn titled(title: String, colour: u32) -> Embed {
    Embed {
        title,
        color: Some(colour),
        ..Embed::default()
    }
}

fn repository(sent: &Value) -> &str {
    text(sent, "/repository/full_name")
}

fn quoted(sent: &Value, pointer: &str) -> String {
    cut(text(sent, pointer).trim(), QUOTED_CHARS)
}

fn text<'a>(sent: &'a Value, pointer: &str) -> &'a str {
    let value = sent.pointer(pointer);
    value.and_then(Value::as_str).unwrap_or_default()
}

fn owned(sent: &Value, pointer: &str) -> Option<String> {
    let text = text(sent, pointer);
    (!text.is_empty()).then(|| text.to_owned())
}

#[cfg(test)]
#[path = "github_tests.rs"]
mod tests;
