"""The words of music as titles use them: the repertoire's, and the few that its tables lack.

What belongs here: which folded words name a composer, a kind of piece, a work or a nickname. What
does not: which work a wording is (`repertoire`), and how words make a piece (`title_pieces`). There
is one vocabulary of music; this is the view of it for titles, whose apostrophes are folded away.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

from data_collection.competition.names import word_set
from data_collection.repertoire import words as repertoire
from data_collection.repertoire.catalogue import Work, catalogue

FURTHER_COMPOSERS = word_set(
    "adams agosti alnaes antheil babbitt bax beach bellini berio bernstein bizet blumenfeld "
    "bolcom borodin bortkiewicz britten burgmuller buxtehude byrd casella catoire cervantes "
    "chaminade chavez chin cimarosa cowell crumb cui cziffra daquin decaux dohnanyi dukas dun "
    "dussek enesco feldman fibich finney francaix friedman froberger gade galuppi gibbons glass "
    "gluck gorecki gottschalk grainger guarnieri guastavino gubaidulina gulda hahn harbison "
    "heller hensel henselt herz hindemith honegger ibert ireland jolivet joplin kalkbrenner "
    "kempff kernis kilar kodaly kosenko kuhlau larcher lecuona leschetizky liebermann lindberg "
    "lipatti lyadov lysenko macdowell maciejewski martinu mignone milhaud moniuszko montero "
    "muczynski nancarrow nazareth nepomuceno nielsen noskowski novak ohana pachelbel palmgren "
    "penderecki perle piazzolla piston ponce purcell raff rautavaara rebikov reger reich "
    "reinecke respighi rihm rimsky rorem rosenthal rossini roussel rozycki rubinstein saariaho "
    "salonen satie schnittke sessions severac shchedrin sibelius siloti silvestrov sinding "
    "stenhammar suk sweelinck szymanowska tailleferre tan taneyev tansman tippett tomasek tower "
    "unsuk ustvolskaya verdi veress viardot villalobos vorisek walton weiner widmann wuorinen "
    "zelenski zwilich kreisler strauss schulhof sciarrino dallapiccola yoshimatsu saygun say "
    "tatum sgambati evler theofanidis price wild bates"
)
"""Whom no table lists, mostly with a piece or two in recitals of competitions."""
COMPOSERS = frozenset(repertoire.COMPOSERS) | FURTHER_COMPOSERS
NAMES_TOO = word_set(
    "part tower perle beach ireland glass reich sessions piston herz cui suk heller novak "
    "friedman rosenthal hahn gade field byrd gibbons adams ponce chavez cervantes feldman "
    "korsakov rimsky montero bax raff cowell walton babbitt berg cage tan vine dun chin weber "
    "carter barber saint soler wagner crumb ives hough hamelin say price wild bates strauss"
)
"""Composers whose names are everybody's: only beside a genre or a work's number."""
GIVEN_NAMES = repertoire.GIVEN_NAMES | word_set(
    "philipp emanuel clara fanny lera carl nikolai gabriela unsuk fazil"
)

_NO_GENRES = word_set("ronda studio studi")
"""In titles a round of Spain and a guard."""
_WEAK_GENRES = word_set(
    "piece pieces poem poems morceau morceaux allegretto sinfonia sinfonias romans march "
    "marches marcha marcia variation"
)
"""They go on with a piece and make none alone: `First Romans`, `a piece of cake`."""
_FURTHER_GENRES = word_set(
    "albumblatt allemande arabesque cadenza chaconne consolation consolations courante elegie "
    "feuillet gavotte gigue humoreske klavierkonzert pianoconcert arabesques menuet miniatures "
    "minuet moments musical musicaux novelette novelettes ouverture overture paraphrase "
    "passacaglia pastorale polka sarabande transcription variation march bagatelles toccatina "
    "fughetta canzona canzonetta ricercar serenata sicilienne siciliano tango habanera fandango "
    "landler galop fanfare gnossienne gnossiennes gymnopedie gymnopedies scherzino rondino "
    "perpetuum badinerie"
)
GENRES = frozenset(repertoire.GENRES) - _NO_GENRES - _WEAK_GENRES | _FURTHER_GENRES
"""Words that alone tell that music is spoken of."""
CONCERTOS = frozenset(
    word for word, genre in repertoire.GENRES.items() if genre.name == "concerto"
) | {"klavierkonzert", "pianoconcert"}
TEMPOS = repertoire.TEMPOS - word_set("final trio air una voce e ed und mit zu con ma non")
_PIECE_WORDS = word_set(
    "opus brillante brillantes brillant brillants grande grand heroic revolutionary military "
    "piano fortepianowy symphonic symphoniques paganini theme transcendental transcendantes "
    "dexecution transcendante tableaux spianato mazur version cycle book set dances dance "
    "tances songs cantilena klavier wohltemperierte welltempered tempered clavier concert "
    "conzert original introduction introduzione introdukcja ossia nouvelle nouvelles memoriam "
    "hommage doubles musicale musicales suites selection selections complete whole melodie "
    "fantastique melodies lieder wielki wielka"
)
PIECE_WORDS = (
    _PIECE_WORDS | TEMPOS | _WEAK_GENRES | repertoire.MOVEMENT_WORDS
    | repertoire.POSTHUMOUS - {"post", "oeuvre"}
)  # fmt: skip
"""Words that go on with a piece."""
MODES = repertoire.MAJOR | repertoire.MINOR | repertoire.SHARP | repertoire.FLAT
KEYS = (
    frozenset(repertoire.GERMAN_TONES)
    | frozenset(repertoire.SHORT_TONES)
    | frozenset(repertoire.SOLFEGE)
    | frozenset(repertoire.LETTERS)
)

_EVERYDAY = word_set(
    "adagio cantabile dedication serenade melody seasons excursions mirrors largo moderato "
    "mouvement orage norma dante elegy canzone masques maski firebird"
)
"""Names of works that are words of any language: nicknames only."""
_ELIDED = word_set("l d j n s qu")
_FURTHER_WORKS = (
    "wanderer", "gargoyles", "ondine", "goldberg", "mephisto", "carnival", "images", "asturias",
    "catalogue doiseaux", "childrens corner", "cinderella", "cuadernos", "davidsbundlertaenze",
    "die fledermaus", "el albaicin", "el amor y la muerte", "el pelele", "fantasia baetica",
    "fantasia on an ostinato", "forgotten melodies", "hexameron", "holberg", "im freien",
    "in the mists", "la maja y el ruisenor", "le festin desope", "le sacre du printemps",
    "legende", "legendes", "liebesfreud", "liebesleid", "los requiebros", "lyric pieces",
    "mikrokosmos", "musica callada", "musica ricercata", "navarra",
    "nun komm der heiden heiland", "nutcracker", "on an overgrown path", "petrarch sonnet",
    "quejas", "regard de lesprit de joie", "rite of spring", "sonata reminiscenza",
    "sonetto del petrarca", "songs without words", "spanish dances", "st francis",
    "the people united will never be defeated", "the people united", "triana",
    "winnsboro cotton mill blues", "years of pilgrimage",
    "annees de pelerinage", "rachtime", "birichino", "lhomme arme",
    "well tempered clavier", "wohltemperiertes klavier",
)  # fmt: skip
_FURTHER_NICKNAMES = (
    "arc en ciel", "automne a varsovie", "autumn in warsaw", "butterflies", "cordes a vide",
    "der zauberlehrling", "devils staircase", "the devils staircase", "drama", "fanfares",
    "galamb borong", "horseman", "i hope i dont", "italian", "french", "ladieu",
    "lescalier du diable", "per aspera ad astra", "petit chien", "the hunt", "vertige",
    "war sonata", "wiosenny", "zimowy wicher", "harfa eolska",
)  # fmt: skip


def _folded(name: Iterable[str]) -> tuple[str, ...]:
    """Join what an apostrophe parts, as titles' words do: `l isle joyeuse`, `children s corner`."""
    words: list[str] = []
    for word in name:
        if words and (word == "s" or words[-1] in _ELIDED):
            words[-1] += word
        else:
            words.append(word)
    return tuple(words)


def _tells_alone(name: tuple[str, ...], work: Work) -> bool:
    """Whether a name is a work's and nothing else's, without a composer or a genre beside it."""
    if any(word.isdigit() for word in name) and len(name) < 3:
        return False
    if len(name) == 1:
        return not work.genres and name[0] not in _EVERYDAY
    return len(name) > 2 or not work.genres


def _phrases(names: Iterable[str]) -> frozenset[tuple[str, ...]]:
    return frozenset(tuple(name.split()) for name in names)


@lru_cache(maxsize=1)
def _named() -> tuple[frozenset[tuple[str, ...]], frozenset[tuple[str, ...]]]:
    """Works that tell alone and all names, from the tables, which are opened when first asked."""
    named = [
        (phrase, work)
        for works in catalogue().names_by_first.values()
        for name, work in works
        for phrase in {name, _folded(name)}
        if not any(word in _ELIDED for word in phrase)
    ]
    alone = frozenset(name for name, work in named if _tells_alone(name, work))
    return alone | _phrases(_FURTHER_WORKS), frozenset(name for name, _ in named)


def names_of_works() -> frozenset[tuple[str, ...]]:
    """Names of works that no word of a genre gives away."""
    return _named()[0]


@lru_cache(maxsize=1)
def nicknames() -> frozenset[tuple[str, ...]]:
    """What some pieces are called; explained beside a piece, or in quotation marks beside one."""
    return _named()[1] - names_of_works() | _phrases(_FURTHER_NICKNAMES)


@lru_cache(maxsize=1)
def words_of_names() -> frozenset[str]:
    """Every word that stands in a work's name: `turca`, `juliet`."""
    return frozenset(word for name in names_of_works() | nicknames() for word in name)
