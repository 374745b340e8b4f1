"""The words that titles of competition videos are made of, folded to plain letters.

What belongs here: vocabulary, by meaning, in the languages of the field (English, Polish, German,
French, Spanish, Italian). What does not: music (`title_music`), countries (`countries`), how words
are put together (`title_grammar`, `title_details`), and words of one edition, which its file says.
"""

from __future__ import annotations

from collections.abc import Mapping

from data_collection.competition.names import word_set

ORDINAL_WORDS: Mapping[int, frozenset[str]] = {
    1: word_set(
        "first 1st pierwszy pierwsza pierwszego pierwszej "
        "pierwszym premier premiere 1er 1ere erste "
        "erster ersten primera primero primer prima primo"
    ),
    2: word_set(
        "second 2nd drugi druga drugiego drugiej "
        "drugim deuxieme 2eme zweite zweiter zweiten segunda "
        "segundo seconda secondo"
    ),
    3: word_set(
        "third 3rd trzeci trzecia trzeciego trzeciej trzecim troisieme 3eme dritte dritter dritten "
        "tercera tercero tercer terza terzo"
    ),
    4: word_set(
        "fourth 4th czwarty czwarta czwartego quatrieme 4eme vierte vierter cuarta quarta quarto"
    ),
    5: word_set("fifth 5th piaty piata piatego cinquieme 5eme funfte funfter quinta"),
    6: word_set("sixth 6th szosty szosta"),
    7: word_set("seventh siodmy siodma siodmego"),
    8: word_set("eighth osmy osma osmego"),
    9: word_set("ninth dziewiaty dziewiatego"),
    10: word_set("tenth dziesiaty dziesiatego"),
    11: word_set("eleventh jedenasty jedenastego"),
    12: word_set("twelfth dwunasty dwunastego"),
    13: word_set("thirteenth trzynasty trzynastego"),
    14: word_set("fourteenth czternasty czternastego"),
    15: word_set("fifteenth pietnasty pietnastego"),
    16: word_set("sixteenth szesnasty szesnastego"),
    17: word_set("seventeenth siedemnasty siedemnastego"),
    18: word_set("eighteenth osiemnasty osiemnastego"),
    19: word_set("nineteenth dziewietnasty dziewietnastego"),
    20: word_set("twentieth dwudziesty dwudziestego"),
}
CARDINALS: Mapping[str, str] = {
    "one": "1", "two": "2", "three": "3", "four": "4", "five": "5", "six": "6",
}  # fmt: skip
"""They count a round only after its noun: `two rounds` is not the second."""
AMBIGUOUS_ALONE = word_set(
    "premier premiere prima primo primera primero primer seconda secondo terza terzo tercer "
    "quarta quarto quinta"
)
"""Ordinals that without a noun may be a première or a part of a duet, as `1st` may be a place."""
ROUND_NOUNS = word_set(
    "round stage etap etapu etapie runda rundy rundzie tura turze phase faza fase runde ronda "
    "etape etapa epreuve prova"
)
FRENCH_ORDINALS = word_set("premier 1er deuxieme 2eme 2e troisieme 3eme 3e")
"""Before `tour`, which is a round in French and a journey in English."""
LOOKALIKES = word_set(
    "rounds stages phases etapy etapow fazy fases runden rondas etapes etapas firsts seconds "
    "thirds sound ground found bound hound mound pound wound around rounded rondo ronde state "
    "stale stake stave staged stager phrase chase face base case ease vase prove proof este "
    "forth thirst finalist finalists finales tour tours tower"
)
"""Words one letter from a round word; plurals too, since `2 rounds` is not the second."""
COMPOUND_ROUNDS: Mapping[tuple[str, ...], str] = {
    (part, final): whole
    for whole, parts in (
        ("semifinal", ("semi", "demi", "pol", "halb")),
        ("quarterfinal", ("quarter", "cwierc", "viertel")),
    )
    for part in parts
    for final in ("final", "finals", "finale", "finales", "finalowy", "finalu")
} | {
    ("grand", "final"): "final",
    ("grand", "finals"): "final",
    ("grand", "finale"): "final",
    ("gran", "finale"): "final",
    ("gran", "final"): "final",
    ("wielki", "final"): "final",
    ("quart", "de", "finale"): "quarterfinal",
    ("quarts", "de", "finale"): "quarterfinal",
    ("cuartos", "de", "final"): "quarterfinal",
    ("quarti", "di", "finale"): "quarterfinal",
    ("demie", "finale"): "semifinal",
}
SAME_ROUND_WORD: Mapping[str, str] = (
    dict.fromkeys(word_set("finals finale finalu finalowy finalowa"), "final")
    | dict.fromkeys(
        word_set(
            "preliminaries prelims prelim eliminacje "
            "eliminacji vorrunde eliminatoire eliminatoires "
            "eliminatoria eliminatorias preliminar preliminare"
        ),
        "preliminary",
    )
    | dict.fromkeys(word_set("semifinale semifinali semifinales semifinalowy"), "semifinal")
    | dict.fromkeys(word_set("quarterfinale"), "quarterfinal")
    | {"".join(parts): whole for parts, whole in COMPOUND_ROUNDS.items() if len(parts) == 2}
    | {whole + "s": whole for whole in ("semifinal", "quarterfinal")}
)
NAMED_ROUNDS = word_set("preliminary quarterfinal semifinal final")

COMPETITION_WORDS = word_set(
    "international intl internationale internationaler internationalen internazionale "
    "internacional piano pianist pianists pianistico pianistica pianisty competition "
    "competitions contest edition edicion edizione konkurs konkursu konkursie miedzynarodowy "
    "miedzynarodowego pianistyczny pianistycznego edycja edycji concours wettbewerb wettbewerbs "
    "klavierwettbewerb concorso concurso"
)
"""What any competition calls itself. Not `national` or `junior`: those are other competitions."""
NAME_ENDINGS = word_set("a s owski owska owskiego owskiej owskim")
"""What is added to a name when a competition is called after it: `Chopina`, `Chopinowski`."""
FILLERS = word_set("the of in at im de la le from")
PLAYING_WORDS = word_set("perform performs performed performing plays playing played by")
DECORATION = PLAYING_WORDS | word_set(
    "hd uhd fhd fullhd hq hdr 4k 8k 2k live full complete uncut official video performance audio "
    "recital solo remastered ossia recording nagranie"
)
"""Words that say how it was filmed, or that somebody plays: nothing about who or which round."""
TAG_WORDS = word_set("the classical music classicalmusic pianomusic youtube livemusic")
"""Words that explain a hashtag and nothing else."""
SESSION_WORDS = word_set("session sessions sesja sesje sesji")
"""Words that make a video a part of a day, with several pianists in it."""
GUARD_WORDS = word_set(
    "interview interviews wywiad wywiady rozmowa entretien entrevista intervista portrait "
    "portraits portret portrety profile backstage kulisy coulisses announcement announcements "
    "announces ogloszenie zapowiedz zapowiedzi results result wyniki wynikow ergebnisse "
    "resultats resultados risultati news aktualnosci wiadomosci rehearsal rehearsals rehearses "
    "rehearsing proba proby repetition repetitions masterclass masterclasses gala galakonzert "
    "winners winner wins prizewinner prizewinners prizewinning prize prizes nagroda nagrody "
    "laureat laureaci laureatow laureatka laureates laureate laureats highlights highlight skrot "
    "trailer teaser zwiastun promo konferencja ceremony ceremonia opening inauguracja "
    "inauguration inaugural documentary dokument podcast vlog jury reaction reactions reacts "
    "recap compilation livestream webcast stream broadcast transmisja studio speech award awards "
    "lesson lessons lekcja lekcje lectures wyklad tutorial workshop warsztaty excerpt excerpts "
    "fragment fragmenty analysis review commentary komentarz juror jurors jurorzy shorts encore "
    "encores bis bisy audition auditions screening screenings roundtable talk talks kuryer meet "
    "preview practice practising practicing reportaz relacja predictions"
)
GUARD_PHRASES = frozenset(
    tuple(phrase.split())
    for phrase in (
        *GUARD_WORDS, "behind the scenes", "za kulisami", "master class", "press conference",
        "best of", "live stream", "na zywo", "period instruments", "instrumentach historycznych",
        "amateur competition", "junior competition", "warm up",
    )
)  # fmt: skip
SESSION_PHRASES = frozenset((word,) for word in SESSION_WORDS)
NATIVE_GUARDS = (
    "인터뷰", "리허설", "갈라", "시상", "발표", "연습", "결과", "采访", "採訪", "彩排", "颁奖",
    "頒獎",
    "获奖", "結果", "结果", "音乐会", "インタビュー", "リハーサル", "ガラ", "表彰", "入賞",
    "解説", "発表",
)  # fmt: skip
"""Guard words in scripts that write without spaces, found inside a word."""

PIANO_MAKERS = word_set(
    "steinway yamaha kawai shigeru fazioli bechstein bosendorfer boesendorfer fortepian klavier"
)
PIANO_MODELS = word_set(
    "cfx sk ex d274 f278 f308 d282 d 274 278 282 308 280vc vc 280 grand sons model"
)
"""What follows a maker: never explained alone."""

ORCHESTRA_WORDS = word_set(
    "orchestra orchestre orchester orquesta orkiestra orkiestry philharmonic philharmonia "
    "philharmonie philharmoniker philharmonique filharmonia filharmonii filarmonica filharmonicy "
    "symphony sinfonia symphoniker symphonic sinfonica symfoniczna symfonicznej fwso nospr "
    "varsovia"
)
ANY_ORCHESTRA = word_set("symphony symphonic orchestra orkiestra orkiestry")
"""Alone they are no orchestra's name."""
ORCHESTRA_NEIGHBOURS = word_set(
    "national narodowa narodowej polish polska polskiej royal chamber radio city bbc state"
)
"""Beside an orchestra's own words, as are those of an edition's places."""
WITH_WORDS = word_set("with and & + the z mit avec con i und et w wraz")
AND_WORDS = word_set("and & + i und et e")
CONDUCTORS = tuple(
    tuple(name.split())
    for name in (
        "andrzej boreyko", "andrzeja boreyki", "jacek kaspszyk", "jacka kaspszyka", "antoni wit",
        "kazimierz kord", "krzysztof urbanski", "marin alsop", "leonard slatkin",
        "nicholas mcgegan", "carlos miguel prieto", "james conlon", "edward gardner",
        "andrew manze", "domingo hindoyan", "mark elder", "sir mark elder", "vasily petrenko",
    )
)  # fmt: skip
"""Conductors of finals; the finals' titles name them in any place."""
CONDUCTOR_WORDS = word_set(
    "conductor conductors conducted conducting conducts cond dyr dyrygent dyrygenta dirigent "
    "leitung direction director direttore dir under baton pod batuta"
)

PART_WORDS = word_set("part parts pt cz czesc teil partie parte")
CLOCK_WORDS = word_set("godz godzina uhr")
"""Beside a date or a time only."""
DAY_WORDS = word_set("day dzien jour dia giorno")
COMPETITOR_WORDS = word_set(
    "competitor contestant candidate participant uczestnik uczestniczka nr no number numer start "
    "startowy"
)

PROSE_WORDS = word_set(
    "my your his her their our its i you we he she they it me us who why what when where how is "
    "are was were be been has have had will would can could do does did not this that these "
    "about says tells looks gets goes meets thanks introduces explains discusses teaches speaks "
    "remembers coaches shares reveals joins visits returns reflects celebrates advances chats "
    "story stories day days life road journey host hosts family friends friend teacher teachers "
    "student students pupil pupils fan fans words thoughts notes letter letters advice welcome "
    "hello goodbye diary diaries guide facts minutes seconds questions answers tv radio film "
    "movie series episode season magazine kids chat music musician musicians artist artists "
    "stage party dinner food pianist pianists texas tales report update updates live watch "
    "listen exclusive special breaking inside debut album performances quintet quartet trio duo "
    "duet sextet violin viola cello flute clarinet soprano tenor baritone choir band ensemble "
    "vs versus feat featuring ft presents introducing guest scenes spotlight focus conversation "
    "conversations composer composers commission commissioned premiere chair forum lounge "
    "lecture symposium recalls"
)
"""Words of talk about people, and of playing with others: no work is called by them."""
