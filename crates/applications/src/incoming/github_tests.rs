use serde_json::json;

use super::*;

/// With what every event has.
fn event(of: Value) -> Value {
    let mut sent = json!({
        "repository": {"full_name": "meydan/square", "html_url": "https://github.com/meydan/square"},
        "sender": {"login": "ada", "html_url": "https://github.com/ada",
            "avatar_url": "https://avatars.githubusercontent.com/u/1"}
    });
    let all = sent.as_object_mut().unwrap();
    all.extend(of.as_object().unwrap().clone());
    sent
}

fn embed(name: &str, of: Value) -> Embed {
    match read(name, &event(of)) {
        Some(Told::Message(message)) => message.embeds[0].clone(),
        other => panic!("{name}: {other:?}"),
    }
}

fn commit(number: usize) -> Value {
    json!({
        "id": format!("{number:040}"), "message": format!("fix {number}\n\nlong story"),
        "url": format!("https://github.com/c/{number}"), "author": {"name": "Ada", "username": "ada"}
    })
}

#[test]
fn a_push_lists_its_commits() {
    let push = |commits: Vec<Value>| {
        json!({"ref": "refs/heads/main", "after": "f".repeat(40), "forced": false,
            "compare": "https://github.com/meydan/square/compare/a...b", "commits": commits})
    };
    let one = embed("push", push(vec![commit(1)]));
    assert_eq!(
        serde_json::to_value(one).unwrap(),
        json!({
            "title": "[meydan/square:main] 1 new commit",
            "description": "[`0000000`](https://github.com/c/1) fix 1 – Ada",
            "url": "https://github.com/meydan/square/compare/a...b", "color": BLUE,
            "author": {"name": "ada", "url": "https://github.com/ada",
                "icon_url": "https://avatars.githubusercontent.com/u/1"}
        })
    );
    let ten = embed("push", push((0..10).map(commit).collect()));
    assert_eq!(ten.description.lines().count(), 10);
    let many = embed("push", push((0..12).map(commit).collect()));
    assert_eq!(many.title, "[meydan/square:main] 12 new commits");
    assert_eq!(many.description.lines().last(), Some("… and 2 more"));
    let mut forced = push(Vec::new());
    forced["forced"] = json!(true);
    let forced = embed("push", forced);
    assert_eq!(
        forced.title,
        "[meydan/square] Branch main was force-pushed to fffffff"
    );
    let mut tag = push(vec![commit(1)]);
    tag["ref"] = json!("refs/tags/v1");
    for silent in [push(Vec::new()), tag] {
        assert_eq!(read("push", &event(silent)), Some(Told::Nothing));
    }
}

/// What an event is shown as: its name, what it holds, then title, text and colour.
type Shown = (&'static str, Value, &'static str, &'static str, u32);

fn are_shown(rows: &[Shown]) {
    for (name, of, title, text, colour) in rows {
        let embed = embed(name, of.clone());
        assert_eq!(embed.title, format!("[meydan/square] {title}"), "{name}");
        let shown = (embed.description.as_str(), embed.color);
        assert_eq!(shown, (*text, Some(*colour)), "{name} {title}");
        assert!(embed.url.is_some(), "{name}");
        assert_eq!(embed.author.unwrap().name, "ada");
    }
}

#[test]
fn issues_and_comments_have_titles() {
    let issue = json!({"number": 7, "title": "It leaks", "html_url": "https://github.com/i/7", "body": "A lot."});
    let on_pull = json!({"number": 8, "title": "Mend it", "pull_request": {}});
    let comment =
        json!({"body": "Nice.", "html_url": "https://github.com/c/1", "commit_id": "abcdef0123"});
    let talk =
        json!({"number": 9, "title": "Ideas", "html_url": "https://github.com/d/9", "body": "?"});
    are_shown(&[
        (
            "issues",
            json!({"action": "opened", "issue": issue}),
            "Issue opened #7: It leaks",
            "A lot.",
            GREEN,
        ),
        (
            "issues",
            json!({"action": "closed", "issue": issue}),
            "Issue closed #7: It leaks",
            "",
            PURPLE,
        ),
        (
            "issue_comment",
            json!({"action": "created", "issue": issue, "comment": comment}),
            "Comment on issue #7: It leaks",
            "Nice.",
            GREY,
        ),
        (
            "issue_comment",
            json!({"action": "created", "issue": on_pull, "comment": comment}),
            "Comment on pull request #8: Mend it",
            "Nice.",
            GREY,
        ),
        (
            "commit_comment",
            json!({"action": "created", "comment": comment}),
            "Comment on commit abcdef0",
            "Nice.",
            GREY,
        ),
        (
            "discussion",
            json!({"action": "created", "discussion": talk}),
            "Discussion opened #9: Ideas",
            "?",
            GREEN,
        ),
        (
            "discussion_comment",
            json!({"action": "created", "discussion": talk, "comment": comment}),
            "Comment on discussion #9: Ideas",
            "Nice.",
            GREY,
        ),
    ]);
}

#[test]
fn changes_and_their_reviews_have_titles() {
    let pull = json!({"number": 8, "title": "Mend it", "html_url": "https://github.com/p/8", "body": "Done.", "merged": false});
    let merged = json!({"number": 8, "title": "Mend it", "html_url": "https://github.com/p/8", "merged": true});
    let comment =
        json!({"body": "Nice.", "html_url": "https://github.com/c/1", "commit_id": "abcdef0123"});
    are_shown(&[
        (
            "pull_request",
            json!({"action": "opened", "pull_request": pull}),
            "Pull request opened #8: Mend it",
            "Done.",
            GREEN,
        ),
        (
            "pull_request",
            json!({"action": "closed", "pull_request": pull}),
            "Pull request closed #8: Mend it",
            "",
            RED,
        ),
        (
            "pull_request",
            json!({"action": "closed", "pull_request": merged}),
            "Pull request merged #8: Mend it",
            "",
            PURPLE,
        ),
        (
            "pull_request_review",
            json!({"action": "submitted", "pull_request": pull, "review": {"state": "approved", "body": "Ship it"}}),
            "Pull request approved #8: Mend it",
            "Ship it",
            GREEN,
        ),
        (
            "pull_request_review_comment",
            json!({"action": "created", "pull_request": pull, "comment": comment}),
            "Comment on pull request #8: Mend it",
            "Nice.",
            GREY,
        ),
    ]);
}

#[test]
fn what_else_happens_has_a_title() {
    let run = |end: &str| json!({"name": "ci", "head_branch": "main", "conclusion": end, "html_url": "https://github.com/r/1"});
    are_shown(&[
        (
            "release",
            json!({"action": "published", "release": {"tag_name": "v1", "name": "", "body": "New.", "html_url": "https://github.com/r/v1"}}),
            "Release published: v1",
            "New.",
            BLUE,
        ),
        ("star", json!({"action": "created"}), "New star", "", BLUE),
        ("watch", json!({"action": "started"}), "New star", "", BLUE),
        (
            "fork",
            json!({"forkee": {"full_name": "ada/square", "html_url": "https://github.com/ada/square"}}),
            "Forked to ada/square",
            "",
            GREY,
        ),
        (
            "create",
            json!({"ref": "v1", "ref_type": "tag"}),
            "Tag created: v1",
            "",
            GREEN,
        ),
        (
            "delete",
            json!({"ref": "old", "ref_type": "branch"}),
            "Branch deleted: old",
            "",
            RED,
        ),
        (
            "member",
            json!({"action": "added", "member": {"login": "bora"}}),
            "New collaborator: bora",
            "",
            GREEN,
        ),
        ("public", json!({}), "is public now", "", GREEN),
        (
            "workflow_run",
            json!({"action": "completed", "workflow_run": run("failure")}),
            "ci failed on main",
            "",
            RED,
        ),
    ]);
}

#[test]
fn what_calls_for_nobody_is_silent() {
    for (name, of) in [
        ("ping", json!({"zen": "Keep it logically awesome."})),
        (
            "issues",
            json!({"action": "labeled", "issue": {"number": 7}}),
        ),
        (
            "pull_request",
            json!({"action": "synchronize", "pull_request": {"number": 8}}),
        ),
        (
            "pull_request_review",
            json!({"action": "submitted", "pull_request": {"number": 8}, "review": {"state": "commented", "body": ""}}),
        ),
        ("issue_comment", json!({"action": "edited"})),
        ("star", json!({"action": "deleted"})),
        ("release", json!({"action": "created"})),
        (
            "workflow_run",
            json!({"action": "completed", "workflow_run": {"conclusion": "success"}}),
        ),
        ("create", json!({"ref_type": "repository"})),
        ("check_run", json!({"action": "created"})),
        ("something_new", json!({})),
        ("issues", json!({"action": "opened"})),
    ] {
        assert_eq!(read(name, &event(of)), Some(Told::Nothing), "{name}");
    }
    assert_eq!(read("push", &json!([])), None);
}

#[test]
fn strangers_words_call_nobody() {
    let of =
        json!({"action": "opened", "issue": {"number": 1, "title": "@everyone", "body": "<@1>"}});
    let Some(Told::Message(message)) = read("issues", &event(of)) else {
        panic!("nothing was said");
    };
    assert_eq!(message.body()["allowed_mentions"], json!({"parse": []}));
}
