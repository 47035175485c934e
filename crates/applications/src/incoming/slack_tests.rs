use serde_json::json;

use super::*;

#[test]
fn markup_becomes_ours() {
    for (theirs, ours) in [
        ("merhaba", "merhaba"),
        (
            "<https://example.com|a &amp; b>",
            "[a & b](https://example.com)",
        ),
        ("<https://example.com>", "https://example.com"),
        ("<mailto:a@b.example|a>", "a (mailto:a@b.example)"),
        (
            "<!everyone> <!here> <!channel>",
            "@everyone @here @everyone",
        ),
        ("<!subteam^S1|@team> <!date^1>", "@team @date^1"),
        ("<@U024BE7LH> <@U1|ada> <@42>", "@U024BE7LH @ada <@42>"),
        ("<#C1|general> <#C1>", "#general #C1"),
        ("*bold* _slant_ ~gone~", "**bold** _slant_ ~~gone~~"),
        ("2*3*4 and a * b * c", "2*3*4 and a * b * c"),
        ("`*code*` *x*", "`*code*` **x**"),
        ("1 &lt; 2 &amp;lt; 3", "1 < 2 &lt; 3"),
        ("a < b", "a < b"),
        ("<", "<"),
        ("**", "**"),
    ] {
        assert_eq!(markup(theirs), ours, "{theirs}");
    }
}

#[test]
fn colours_have_names_or_digits() {
    for (text, expected) in [
        ("good", Some(GREEN)),
        ("danger", Some(RED)),
        ("#36a64f", Some(0x0036_a64f)),
        ("36a64f", Some(0x0036_a64f)),
        ("#36a64", None),
        ("#zzzzzz", None),
        ("", None),
    ] {
        assert_eq!(colour(text), expected, "{text}");
    }
}

/// As a CI server sends it.
#[test]
fn an_attachment_becomes_an_embed() {
    let sent = json!({
        "channel": "#ops", "username": "ci", "icon_url": "https://example.com/i.png",
        "icon_emoji": ":ghost:", "text": "Build <https://ci.example/1|#1> *failed*",
        "attachments": [{
            "fallback": "not shown", "color": "danger", "pretext": "On main",
            "author_name": "Ada", "author_link": "https://example.com/ada",
            "title": "Tests", "title_link": "https://ci.example/1/tests", "text": "2 failed",
            "fields": [{"title": "Branch", "value": "main", "short": true}, {"title": "Run", "value": 7}],
            "image_url": "https://example.com/p.png", "thumb_url": "notanaddress",
            "footer": "ci", "ts": 1_800_000_000
        }]
    });
    let read = read(&sent).unwrap();
    assert_eq!(read.username.as_deref(), Some("ci"));
    assert_eq!(
        read.avatar_url.as_deref(),
        Some("https://example.com/i.png")
    );
    assert_eq!(read.content, "Build [#1](https://ci.example/1) **failed**");
    assert_eq!(read.calls, Calls::Named);
    assert_eq!(
        serde_json::to_value(&read.embeds).unwrap(),
        json!([{
            "title": "Tests", "description": "On main\n2 failed",
            "url": "https://ci.example/1/tests", "color": RED,
            "timestamp": "2027-01-15T08:00:00Z",
            "author": {"name": "Ada", "url": "https://example.com/ada"},
            "footer": {"text": "ci"}, "image": {"url": "https://example.com/p.png"},
            "fields": [
                {"name": "Branch", "value": "main", "inline": true},
                {"name": "Run", "value": "7", "inline": false}
            ]
        }])
    );
}

#[test]
fn blocks_are_read_line_by_line() {
    let sent = json!({
        "text": "for the lock screen",
        "blocks": [
            {"type": "header", "text": {"type": "plain_text", "text": "Deploy"}},
            {"type": "section", "text": {"type": "mrkdwn", "text": "*done* in <https://e.example|3 s>"},
             "fields": [{"type": "mrkdwn", "text": "a"}, {"type": "mrkdwn", "text": "b"}]},
            {"type": "divider"},
            {"type": "context", "elements": [{"type": "mrkdwn", "text": "by Ada"}, {"type": "image"}]},
            {"type": "image", "image_url": "https://example.com/g.png", "alt_text": "graph"},
            {"type": "actions", "elements": [{"type": "button"}]}
        ]
    });
    let read = read(&sent).unwrap();
    assert_eq!(
        read.content,
        "**Deploy**\n**done** in [3 s](https://e.example)\na\nb\n───\nby Ada"
    );
    let image = read.embeds[0].image.as_ref();
    let url = image.map(|image| image.url.as_str());
    assert_eq!(url, Some("https://example.com/g.png"));
}

/// Mattermost's form: `props`, and a card of which only the text is for everybody.
#[test]
fn mattermosts_form_is_understood() {
    let sent = json!({
        "channel": "town-square", "username": "jira", "icon_emoji": "rocket",
        "text": "#### Issue closed", "props": {"card": "secret details"}, "type": "custom_jira",
        "attachments": [{"fallback": "only this is set"}]
    });
    let read = read(&sent).unwrap();
    assert_eq!(read.content, "#### Issue closed");
    assert_eq!(read.embeds[0].description, "only this is set");
}

/// Alertmanager's Slack receiver sends attachments alone.
#[test]
fn alertmanagers_slack_receiver_is_understood() {
    let sent = json!({
        "channel": "#alerts", "username": "Alertmanager",
        "attachments": [{
            "title": "[FIRING:1] DiskFull (db1 node)", "title_link": "http://am.example/#/alerts",
            "text": "", "fallback": "[FIRING:1] DiskFull", "callback_id": "", "color": "danger",
            "footer": "", "mrkdwn_in": ["fallback", "pretext", "text"], "actions": null
        }]
    });
    let read = read(&sent).unwrap();
    assert_eq!(read.content, "");
    assert_eq!(
        serde_json::to_value(&read.embeds).unwrap(),
        json!([{
            "title": "[FIRING:1] DiskFull (db1 node)", "color": RED,
            "url": "http://am.example/#/alerts"
        }])
    );
}

#[test]
fn alertmanagers_own_form_is_understood() {
    let alert = json!({
        "status": "firing", "labels": {"alertname": "DiskFull", "severity": "page", "instance": "db1"},
        "annotations": {"summary": "91 % used", "runbook_url": "https://r.example"},
        "startsAt": "2026-11-20T07:00:00Z", "endsAt": "0001-01-01T00:00:00Z",
        "generatorURL": "http://prom.example/graph", "fingerprint": "d8e1"
    });
    let one = json!({"version": "4", "status": "firing", "receiver": "meydan",
        "groupLabels": {"alertname": "DiskFull"}, "alerts": [alert]});
    let read_one = read(&one).unwrap();
    assert_eq!(read_one.calls, Calls::Nobody);
    assert_eq!(
        serde_json::to_value(&read_one.embeds).unwrap(),
        json!([{
            "title": "[FIRING] DiskFull", "description": "91 % used",
            "url": "http://prom.example/graph", "color": RED,
            "timestamp": "2026-11-20T07:00:00Z",
            "fields": [
                {"name": "instance", "value": "db1", "inline": true},
                {"name": "severity", "value": "page", "inline": true}
            ]
        }])
    );
    let mut many = one;
    many["status"] = json!("resolved");
    many["alerts"] = json!(vec![alert; 12]);
    let read_many = read(&many).unwrap();
    assert_eq!(read_many.content, "**[RESOLVED:12] DiskFull**");
    assert_eq!(read_many.embeds.len(), 10);
}

#[test]
fn what_says_nothing_is_refused() {
    for sent in [
        json!(null),
        json!([]),
        json!("text"),
        json!({}),
        json!({"text": ""}),
        json!({"text": 5}),
        json!({"attachments": [{}]}),
        json!({"attachments": "x", "blocks": {}}),
        json!({"alerts": []}),
    ] {
        assert_eq!(read(&sent), None, "{sent}");
    }
}
