//! The demo world: who is in it and what they say. Plain data, the same every time.

/// Somebody of the demo world; the address is `username@example.com`.
pub(super) struct Person {
    pub(super) username: &'static str,
    pub(super) display_name: &'static str,
    pub(super) locale: &'static str,
}

/// A community that everybody is in.
pub(super) struct Community {
    pub(super) name: &'static str,
    pub(super) description: &'static str,
    pub(super) locale: &'static str,
    /// Username.
    pub(super) owner: &'static str,
    /// At least one; its first channel is the one a community is born with.
    pub(super) categories: &'static [Category],
}

/// A heading with channels under it.
pub(super) struct Category {
    pub(super) name: &'static str,
    pub(super) channels: &'static [Channel],
}

/// A text channel and what was said in it, oldest first.
pub(super) struct Channel {
    pub(super) name: &'static str,
    pub(super) topic: &'static str,
    pub(super) lines: &'static [Line],
}

/// A message.
pub(super) struct Line {
    /// Username.
    pub(super) who: &'static str,
    pub(super) text: &'static str,
    /// Which earlier line of the channel it answers, from 0.
    pub(super) answers: Option<usize>,
    /// What it became later.
    pub(super) edited: Option<&'static str>,
}

const fn say(who: &'static str, text: &'static str) -> Line {
    Line {
        who,
        text,
        answers: None,
        edited: None,
    }
}

const fn answer(line: usize, who: &'static str, text: &'static str) -> Line {
    Line {
        answers: Some(line),
        ..say(who, text)
    }
}

impl Line {
    const fn edited(self, text: &'static str) -> Self {
        Self {
            edited: Some(text),
            ..self
        }
    }
}

const fn person(
    username: &'static str,
    display_name: &'static str,
    locale: &'static str,
) -> Person {
    Person {
        username,
        display_name,
        locale,
    }
}

/// Who may be logged in as, with the password of the first screen.
pub(super) const OPEN: [&str; 2] = [AYSE, MEHMET];
const AYSE: &str = "ayse";
const MEHMET: &str = "mehmet";

pub(super) const PEOPLE: &[Person] = &[
    person(AYSE, "Ayşe Yılmaz", "tr"),
    person(MEHMET, "Mehmet Demir", "tr"),
    person("zeynep", "Zeynep Kaya", "tr"),
    person("emre", "Emre Şahin", "tr"),
    person("elif", "Elif Çelik", "tr"),
    person("can", "Can Öztürk", "tr"),
    person("deniz", "Deniz Aydın", "tr"),
    person("burak", "Burak Işık", "tr"),
    person("selin", "Selin Güneş", "tr"),
    person("hannah", "Hannah Weber", "en"),
    person("james", "James Carter", "en"),
    person("sofia", "Sofia Rossi", "en"),
    person("liam", "Liam Byrne", "en"),
    person("omar", "Omar Haddad", "en"),
];

pub(super) const COMMUNITIES: &[Community] = &[
    Community {
        name: "Klasik Otomobil Meydanı",
        description: "Eski arabalar, uzun yollar ve sabır isteyen tamirler.",
        locale: "tr",
        owner: AYSE,
        categories: &[
            Category {
                name: "Meydan",
                channels: &[GENEL, TANISMA],
            },
            Category {
                name: "Garaj",
                channels: &[RESTORASYON, PARCA],
            },
        ],
    },
    Community {
        name: "Weekend Makers",
        description: "Things built between Friday evening and Monday morning.",
        locale: "en",
        owner: MEHMET,
        categories: &[
            Category {
                name: "Square",
                channels: &[GENERAL, SHOW],
            },
            Category {
                name: "Workshop",
                channels: &[ELECTRONICS, BIKES],
            },
        ],
    },
];

const GENEL: Channel = Channel {
    name: "genel",
    topic: "Her şey, biraz çay eşliğinde",
    lines: &[
        say(AYSE, "Günaydın meydan! Pazar sürüşüne kimler geliyor?"),
        say(
            MEHMET,
            "Ben varım. Murat 124 nihayet tek marşta çalışıyor 🎉",
        ),
        say("zeynep", "Biz de geliyoruz, yanımızda poğaça var."),
        answer(1, "emre", "Tek marş mı? Video olmadan inanmam 😄"),
        answer(3, MEHMET, "Pazar sabahı canlı göstereceğim."),
        say(
            "hannah",
            "Visiting from Berlin this week. Is there a spare seat?",
        ),
        answer(
            5,
            AYSE,
            "Of course! You can ride with me, the Anadol has room for three.",
        ),
        say("deniz", "Buluşma 09.00, İğneada yolu ayrımı.")
            .edited("Buluşma 09.30, İğneada yolu ayrımı. (Saat değişti!)"),
        answer(7, "elif", "Yarım saat fazla uyku, teşekkürler 🙏"),
        say("can", "Hava güneşli görünüyor, üstü açık gelen olur mu?"),
    ],
};

const TANISMA: Channel = Channel {
    name: "tanışma",
    topic: "Kimsin, ne sürüyorsun?",
    lines: &[
        say(
            AYSE,
            "Hoş geldiniz! Kendinizi ve arabanızı iki cümleyle anlatın.",
        ),
        say(
            "burak",
            "Burak, Iğdır. 1974 Renault 12, dedemden kaldı, rengi hâlâ orijinal.",
        ),
        say(
            "selin",
            "Selin, İzmir. Arabam yok ama fotoğrafınızı çekerim.",
        ),
        answer(2, "zeynep", "O zaman pazar günü en önemli kişi sensin."),
        say(
            "omar",
            "Omar, Amman. 1982 Mercedes 240D. Slow, but it never stops.",
        ),
        answer(4, MEHMET, "The best kind of slow. Welcome!"),
        say(
            "sofia",
            "Sofia from Torino: Fiat 127, and yes, the rust is included.",
        ),
    ],
};

const RESTORASYON: Channel = Channel {
    name: "restorasyon",
    topic: "Pas, boya, motor: adım adım",
    lines: &[
        say(
            "emre",
            "Taban sacını söktüm. Altından gazete çıktı, 1979 tarihli.",
        ),
        answer(0, "burak", "Gazeteyi saklayın, arabanın kimliği o."),
        say("can", "Krom tamponu kaplatan oldu mu? Fiyatlar uçmuş."),
        answer(
            2,
            "deniz",
            "Geçen ay yaptırdım. Önce sirkeyle temizle, belki gerek kalmaz.",
        ),
        answer(3, "can", "Sirke işe yaradı! Yarısı kurtuldu."),
        say(
            "james",
            "Does anyone have a wiring diagram for the Anadol A1?",
        ),
        answer(
            5,
            AYSE,
            "I have the paper one from 1968. I will scan it tonight.",
        ),
        say(
            "elif",
            "İlk kez sübap ayarı yaptım. Motor artık fısıldıyor.",
        ),
    ],
};

const PARCA: Channel = Channel {
    name: "parça-pazarı",
    topic: "Alınır, satılır, takas edilir",
    lines: &[
        say(
            "zeynep",
            "Satılık: Murat 131 ön far takımı, çiziksiz, 2.400 TL.",
        ),
        answer(0, MEHMET, "Fotoğraf var mı? 2.000 olur mu?"),
        answer(1, "zeynep", "2.200 ve pazar günü elden teslim."),
        answer(2, MEHMET, "Anlaştık 🤝"),
        say("omar", "Looking for a 240D speedometer, in km/h."),
        say(
            "liam",
            "Swap: four Renault 12 hubcaps for one good steering wheel.",
        ),
        answer(
            5,
            "burak",
            "Direksiyon bende var, jant kapakları bana lazım. I am in!",
        ),
    ],
};

const GENERAL: Channel = Channel {
    name: "general",
    topic: "Plans, questions, coffee",
    lines: &[
        say(
            MEHMET,
            "Welcome! One rule: finish something small before Monday.",
        ),
        say("james", "Small, like a birdhouse. Not like my boat."),
        answer(1, "hannah", "How is the boat, James? Year three now?"),
        answer(2, "james", "It floats. In the garage, after the rain."),
        say(AYSE, "Türkçe yazmak serbest mi burada?"),
        answer(4, MEHMET, "Tabii ki! Yazan anlaşır, anlamayan sorar."),
        say("liam", "Is the repair café still on for Saturday?"),
        answer(6, "sofia", "Yes, from ten. Bring broken things and cake."),
    ],
};

const SHOW: Channel = Channel {
    name: "show-and-tell",
    topic: "Finished, or finished enough",
    lines: &[
        say(
            "sofia",
            "A lamp out of an old film projector. It even whirs.",
        ),
        answer(0, "selin", "Bayıldım! Ampulü hangi güçte?"),
        answer(1, "sofia", "4 W LED, so nothing melts this time."),
        say("omar", "Carved six spoons. Five are straight."),
        answer(3, "liam", "The sixth is art."),
        say(
            "deniz",
            "Balkon için damla sulama: bir saat, bir pompa, sıfır ölü fesleğen.",
        ),
    ],
};

const ELECTRONICS: Channel = Channel {
    name: "electronics",
    topic: "If it smokes, say so",
    lines: &[
        say("liam", "My weather station says 84 °C indoors."),
        answer(0, "hannah", "Is the sensor next to the voltage regulator?"),
        answer(1, "liam", "…it was. 21 °C now. Thank you."),
        say("can", "Eski radyoyu onardım: tek bir kondansatörmüş."),
        answer(3, "elif", "Her zaman kondansatördür."),
    ],
};

const BIKES: Channel = Channel {
    name: "bikes",
    topic: "Two wheels, many opinions",
    lines: &[
        say("hannah", "Which chain oil for a rainy winter?"),
        answer(0, "james", "Wet lube, a little, and wipe it on Sundays."),
        say(
            "selin",
            "Kırmızı bisikletim geri döndü, yeni fren balatalarıyla 🚲",
        ),
        answer(2, "burak", "Yokuş aşağı ilk denemeyi dikkatli yap!"),
        say(
            "emre",
            "Anyone up for the lake loop on Sunday? 42 km, one bakery.",
        ),
    ],
};

/// The two people who have a private talk, and what they say.
pub(super) const PRIVATE: (&str, &str) = (MEHMET, AYSE);
pub(super) const PRIVATE_LINES: &[Line] = &[
    say(
        MEHMET,
        "Pazar için sürpriz: Zeynep'in doğum günü. Pasta bende.",
    ),
    say(AYSE, "Harika! Mumları ben getiririm, kimseye söyleme 🤫"),
    answer(1, MEHMET, "Sözüm söz."),
];

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    fn channels() -> Vec<&'static Channel> {
        let categories = COMMUNITIES.iter().flat_map(|it| it.categories);
        categories.flat_map(|it| it.channels).collect()
    }

    #[test]
    fn the_world_is_of_the_promised_size() {
        assert_eq!(PEOPLE.len(), 14);
        assert_eq!(COMMUNITIES.len(), 2);
        assert_eq!(channels().len(), 8);
        let lines = channels().iter().map(|it| it.lines.len()).sum::<usize>();
        assert_eq!(lines + PRIVATE_LINES.len(), 59);
    }

    #[test]
    fn everybody_who_is_named_exists_once() {
        let names: HashSet<&str> = PEOPLE.iter().map(|it| it.username).collect();
        assert_eq!(names.len(), PEOPLE.len());
        let lines = channels().into_iter().flat_map(|it| it.lines);
        let speakers = lines.chain(PRIVATE_LINES).map(|it| it.who);
        let owners = COMMUNITIES.iter().map(|it| it.owner);
        for name in speakers.chain(owners).chain(OPEN) {
            assert!(names.contains(name), "{name}");
        }
        for line in PRIVATE_LINES {
            assert!([PRIVATE.0, PRIVATE.1].contains(&line.who));
        }
    }

    #[test]
    fn answers_come_after_what_they_answer() {
        for lines in channels().iter().map(|it| it.lines).chain([PRIVATE_LINES]) {
            for (at, line) in lines.iter().enumerate() {
                assert!(line.answers.is_none_or(|to| to < at), "{}", line.text);
            }
        }
    }

    #[test]
    fn names_are_found_again_by_name() {
        for community in COMMUNITIES {
            let categories = community.categories.iter();
            let mut names: Vec<&str> = categories
                .flat_map(|it| it.channels.iter().map(|it| it.name).chain([it.name]))
                .collect();
            let count = names.len();
            names.sort_unstable();
            names.dedup();
            assert_eq!(names.len(), count, "{}", community.name);
        }
    }
}
