"""The vocabulary of programmes in six languages, and which word a misspelt one is meant for.

What belongs here: words. What does not: works and their nicknames (`catalogue`), and how words make
a piece (`mentions`).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache

from rapidfuzz.distance import OSA

from data_collection.repertoire.letters import word_set


@dataclass(frozen=True)
class Genre:
    """A word for a kind of piece; `languages` are those that write it so."""

    name: str
    plural: bool
    languages: frozenset[str]


_GENRES = """
etude: en,fr,de etude/etudes; pl etiuda/etiudy,etiud; pl etiude; de /etuden,etueden;
  en study/studies; es estudio/estudios; it studio/studi
prelude: en,fr prelude/preludes; pl preludium/preludia,preludiow; de praludium,praeludium/
  praludien,praeludien; es preludio/preludios; it preludio/preludi; de prelude
nocturne: en,fr nocturne/nocturnes; pl nokturn/nokturny,nokturnow; de nocturne,notturno/nocturnes,
  notturni; es nocturno/nocturnos; it notturno/notturni
mazurka: en,fr,de,es,it mazurka/mazurkas; pl mazurek/mazurki,mazurkow; de /mazurken; fr /mazurkas;
  it mazurca/mazurche; es mazurca
waltz: en waltz/waltzes; pl walc/walce,walcow; fr valse/valses; de walzer/walzer; es vals/valses;
  it valzer,valse
polonaise: en,fr,de polonaise/polonaises; pl polonez/polonezy,polonezow; de /polonaisen;
  es polonesa/polonesas; it polacca/polacche
ballade: en,fr,de ballade/ballades; pl ballada/ballady,ballad; de /balladen; es balada/baladas;
  it ballata/ballate
scherzo: en,fr,de,pl,es,it scherzo/scherzos,scherzi; pl /scherza
sonata: en,pl,es,it sonata/sonatas; fr,de sonate/sonates; pl /sonaty; de /sonaten; it /sonate
sonatine: en,it,es,pl sonatina/sonatinas; fr,de sonatine/sonatines
concerto: en,fr,it concerto/concertos,concerti; pl koncert/koncerty; de konzert/konzerte;
  es concierto/conciertos
fantasy: en fantasy/fantasies; en,it,es fantasia/fantasias,fantasie; fr fantaisie/fantaisies;
  de fantasie,phantasie/fantasien; pl fantazja/fantazje
barcarolle: en,fr,de barcarolle/barcarolles; pl barkarola/barkarole; es,it barcarola;
  it barcarolla
quintet: en quintet/quintets; fr quintette; de quintett; pl kwintet; es quinteto; it quintetto
berceuse: en,fr,de,pl,es,it berceuse/berceuses; pl kolysanka; en lullaby
rondo: en,de,pl,it,es,fr rondo/rondos; fr rondeau; pl ronda
impromptu: en,fr,de,pl,es,it impromptu/impromptus; it improvviso; pl ekspromt
variations: en,fr variations; pl wariacje,wariacji; de variationen; es variaciones; it variazioni
variation: en,fr variation
bolero: en,fr,de,pl,es,it bolero
tarantella: en,it,pl,de tarantella/tarantellas; fr tarantelle; pl tarantela,tarantele; es tarantela
ecossaise: en,fr ecossaise/ecossaises; pl /ecossaisy,szkockie
march: en march/marches; fr marche; pl marsz; de marsch; es,it marcha,marcia
krakowiak: en,pl,fr,de,es,it krakowiak
toccata: en,it,pl,de,es toccata/toccatas; de tokkata; pl tokkata; es tocata
fugue: en,fr fugue/fugues; pl fuga/fugi; de fuge/fugen; es,it fuga
partita: en,it,de,pl,es partita/partitas
suite: en,fr,de,it,es suite/suites; pl suita
rhapsody: en rhapsody/rhapsodies; fr rhapsodie/rhapsodies; de rhapsodie/rhapsodien;
  pl rapsodia/rapsodie; es rapsodia/rapsodias; it rapsodia,rapsodie
intermezzo: en,it,de,pl,fr,es intermezzo/intermezzi,intermezzos
capriccio: en,it,de,pl capriccio/capriccios,capricci; fr caprice/caprices; pl kaprys; es capricho
bagatelle: en,fr,de bagatelle/bagatelles; de /bagatellen; pl bagatela/bagatele; es bagatela;
  it bagatella
invention: en,fr invention/inventions; pl inwencja/inwencje
sinfonia: en,it sinfonia/sinfonias
romance: en,fr romance/romances; de romanze/romanzen; pl romans
novellette: en,fr novellette/novellettes; de novellette/novelletten
klavierstuck: de klavierstuck/klavierstucke; en piece/pieces; fr morceau/morceaux
poeme: fr poeme/poemes; en poem/poems; pl poemat
allegretto: it allegretto
"""
FOLLOWS: Mapping[tuple[str, str], str] = {
    ("moment", "musical"): "moment-musical",
    ("moments", "musicaux"): "moment-musical",
    ("moment", "musicaux"): "moment-musical",
    ("moments", "musical"): "moment-musical",
    ("etude", "tableau"): "etude-tableau",
    ("etude", "tableaux"): "etude-tableau",
    ("etudes", "tableaux"): "etude-tableau",
    ("etudes", "tableau"): "etude-tableau",
    ("etiuda", "obraz"): "etude-tableau",
    ("piano", "pieces"): "klavierstuck",
    ("piano", "piece"): "klavierstuck",
    ("piano", "concerto"): "concerto",
    ("piano", "quintet"): "quintet",
    ("piano", "sonata"): "sonata",
}
"""Genres of two words."""


def _genres() -> dict[str, Genre]:
    genres: dict[str, Genre] = {}
    for entry in _GENRES.replace("\n ", " ").strip().splitlines():
        name, _, forms = entry.partition(": ")
        for form in forms.split(";"):
            languages, _, words = form.strip().partition(" ")
            singular, _, plural = words.replace(" ", "").partition("/")
            for text, is_plural in ((plural, True), (singular, False)):
                for word in filter(None, text.split(",")):
                    known = genres.get(word)
                    spoken = frozenset(languages.split(","))
                    both = spoken | known.languages if known and known.name == name else spoken
                    genres[word] = Genre(name, is_plural, both)
    return genres


GENRES: Mapping[str, Genre] = _genres()

_COMPOSERS = """
chopin: chopin chopina szopen chopins
bach: bach bacha
busoni: busoni busoniego
mozart: mozart mozarta
haydn: haydn haydna
beethoven: beethoven beethovena
schubert: schubert schuberta
schumann: schumann schumanna
liszt: liszt liszta
brahms: brahms brahmsa
mendelssohn: mendelssohn mendelssohna bartholdy
debussy: debussy debussyego
ravel: ravel ravela
rachmaninoff: rachmaninoff rachmaninov rachmaninow rachmaninof rachmaninowa rakhmaninov rajmaninov
prokofiev: prokofiev prokofieff prokofjew prokofjev prokofiew prokofjewa prokofief
scriabin: scriabin skriabin skrjabin scriabine skriabina scriabine
tchaikovsky: tchaikovsky czajkowski tschaikowsky chaikovsky tchaikovski chaikovski tschaikowski
  ciaikovskij
stravinsky: stravinsky strawinski strawinsky stravinski
mussorgsky: mussorgsky musorgski musorgsky moussorgsky mussorgski moussorgski
balakirev: balakirev balakiriew balakirew
franck: franck francka
bartok: bartok bartoka
szymanowski: szymanowski szymanowskiego
grieg: grieg griega
saint-saens: saens
barber: barber
gershwin: gershwin
ginastera: ginastera
albeniz: albeniz
granados: granados
messiaen: messiaen
ligeti: ligeti
scarlatti: scarlatti
clementi: clementi
soler: soler
handel: handel haendel
couperin: couperin
rameau: rameau
weber: weber
medtner: medtner
kapustin: kapustin
shostakovich: shostakovich szostakowicz schostakowitsch chostakovitch
berg: berg
schoenberg: schoenberg schonberg
webern: webern
paderewski: paderewski paderewskiego
janacek: janacek
poulenc: poulenc
faure: faure
chabrier: chabrier
alkan: alkan
dutilleux: dutilleux
carter: carter
corigliano: corigliano
vine: vine
kurtag: kurtag
hough: hough
hamelin: hamelin
godowsky: godowsky godowski
lyapunov: lyapunov liapunow
glinka: glinka
rimsky-korsakov: korsakov korsakow
wagner: wagner
paganini: paganini
horowitz: horowitz
volodos: volodos
pletnev: pletnev
gounod: gounod
tausig: tausig
thalberg: thalberg
moszkowski: moszkowski
zarebski: zarebski
bacewicz: bacewicz
lutoslawski: lutoslawski
panufnik: panufnik
copland: copland
ives: ives
khachaturian: khachaturian
takemitsu: takemitsu
cage: cage
boulez: boulez
stockhausen: stockhausen
rzewski: rzewski
villa-lobos: lobos
dvorak: dvorak
smetana: smetana
hummel: hummel
field: field
czerny: czerny
moscheles: moscheles
auerbach: auerbach
ades: ades
feinberg: feinberg
glazunov: glazunov
arensky: arensky
enescu: enescu
mompou: mompou
falla: falla
turina: turina
"""
COMPOSERS: Mapping[str, str] = {
    word: slug
    for entry in _COMPOSERS.replace("\n ", " ").strip().splitlines()
    for slug, _, words in [entry.partition(": ")]
    for word in words.split()
}
GIVEN_NAMES = word_set(
    "fryderyk frederic fryderyka frederick franciszek ludwig van johann sebastian wolfgang amadeus "
    "amade joseph josef franz ferenc robert johannes felix claude maurice sergei sergey siergiej "
    "serge alexander aleksander alexandre piotr pyotr peter ilyich iljicz igor modest mily cesar "
    "bela karol edvard camille samuel george alberto isaac enrique olivier gyorgy domenico muzio "
    "antonio georg friedrich jean philippe carl maria von nikolai nikolay dmitri dimitri alban "
    "arnold anton ignacy jan leos francis gabriel emmanuel charles valentin henri elliott john "
    "stephen marc andre leopold sergej ferruccio saint villa rimsky de juliusz grazyna witold "
    "andrzej aaron aram toru frederic heitor antonin bedrich thomas manuel federico"
)

MAJOR = word_set("major maj dur majeur maggiore mayor")
MINOR = word_set("minor min moll mol mineur minore menor")
SHARP = word_set("sharp diese diesis sostenido")
FLAT = word_set("flat bemol bemolle")
ACCIDENTALS = SHARP | FLAT
# Letter, sharps (or, below nought, flats).
LETTERS: Mapping[str, tuple[str, int]] = {letter: (letter.upper(), 0) for letter in "cdefgab"}
GERMAN_TONES: Mapping[str, tuple[str, int]] = (
    {"h": ("B", 0), "b": ("B", -1), "as": ("A", -1), "es": ("E", -1)}
    | {f"{letter}is": (letter.upper(), 1) for letter in "cdefga"}
    | {f"{letter}es": (letter.upper(), -1) for letter in "cdfg"}
    | {"his": ("B", 1)}
)
SHORT_TONES: Mapping[str, tuple[str, int]] = {
    f"{letter}b": (letter.upper(), -1) for letter in "cdegab"
}
SOLFEGE: Mapping[str, tuple[str, int]] = {
    "do": ("C", 0), "ut": ("C", 0), "re": ("D", 0), "mi": ("E", 0), "fa": ("F", 0),
    "sol": ("G", 0), "la": ("A", 0), "si": ("B", 0),
}  # fmt: skip

NUMBER_WORDS = word_set("no nos nr nrs n number numbers num numer nummer numero numeros nry")
POSTHUMOUS = word_set(
    "posth posthumous post posthume posm posmiertny posmiertne posmiertna postumo posthum "
    "postuma oeuvre"
)
MOVEMENT_WORDS = word_set(
    "movement movements mov movt mvt mvmt movs cz czesc czesci satz satze mouvement mouvements "
    "movimiento movimento movimenti"
)
BOOK_WORDS = word_set(
    "book livre zeszyt heft libro vol volume series serie cahier band ksiega wtc wtk"
)
AND_WORDS = word_set("and i und et y e oraz")
RANGE_WORDS = word_set("to bis do through thru")
CARDINALS: Mapping[str, int] = {
    word: number
    for number, words in {
        2: "two dwa dwie zwei deux dos due", 3: "three trzy drei trois tres tre",
        4: "four cztery vier quatre cuatro quattro", 5: "five piec funf cinq cinco cinque",
        6: "six szesc sechs seis sei", 7: "seven siedem sieben sept siete sette",
        8: "eight osiem acht huit ocho otto", 9: "nine dziewiec neun neuf nueve nove",
        10: "ten dziesiec zehn dix diez dieci", 12: "twelve dwanascie zwolf douze doce dodici",
        11: "eleven jedenascie elf onze", 13: "thirteen", 14: "fourteen", 15: "fifteen",
        16: "sixteen", 18: "eighteen osiemnascie",
        20: "twenty dwadziescia zwanzig vingt veinte venti",
        24: "twentyfour vierundzwanzig ventiquattro veinticuatro",
    }.items()
    for word in words.split()
}  # fmt: skip
ORDINALS: Mapping[str, int] = {
    word: number
    for number, words in {
        1: "first pierwszy pierwsza premier premiere erste erster primer primera primo prima",
        2: "second drugi druga deuxieme zweite zweiter segundo segunda secondo seconda",
        3: "third trzeci trzecia troisieme dritte dritter tercer tercera terzo terza",
        4: "fourth czwarty czwarta quatrieme vierte vierter cuarto cuarta quarto quarta",
        5: "fifth piaty piata cinquieme funfte", 6: "sixth szosty szosta",
    }.items()
    for word in words.split()
}  # fmt: skip
ORDINAL_ENDINGS = word_set("st nd rd th er ere e eme a o")
_ROMAN_NUMERALS = "i ii iii iv v vi vii viii ix x xi xii xiii xiv xv xvi xvii xviii xix xx"
ROMANS: Mapping[str, int] = {
    word: number for number, word in enumerate(_ROMAN_NUMERALS.split(), start=1)
}
TEMPOS = word_set(
    "allegro allegretto andante andantino adagio largo larghetto lento presto prestissimo vivace "
    "vivo moderato maestoso grave doppio movimento agitato appassionato espressivo espressione "
    "sostenuto cantabile assai molto troppo non ma con fuoco brio moto poco piu meno mosso tanto "
    "quasi una gran grazioso scherzando finale final trio marcia marche march funebre funeral "
    "funebre zalobny zalobna trauermarsch romance romanza romanze recitativo leggiero leggierezza "
    "legato alla breve polacca zal semplice marcato precipitato tempo giusto rubato ruvido "
    "energico ed e risoluto sempre cantando spirito animato vif lent modere calme anime tres assez "
    "langsam schnell lebhaft bewegt massig sehr nicht zu und mit empfindung ausdruck durchaus "
    "lebhaftigkeit rasch innig fuga arioso aria minuet menuet menuetto minuetto gigue allemande "
    "courante sarabande praeambulum capriccio sinfonia rondeau air gavotte bourree passepied loure "
    "overture ouverture forlane rigaudon allo volante drammatico scorrevole mesto alternativo "
    "inquieto andantino caloroso stretto vivacissimo allegrissimo tenuto mezza voce attacca"
)
FILLERS = word_set(
    "in en w for na the a an of de du des la le les l d et i und and y e sur on z aus from mit con "
    "avec piano fortepian fortepianowy fortepianowa klavier pianoforte klaviersonate solo grande "
    "wielki wielka wielkie grand great brillante brilliant blyskotliwy tonacja key version wersja "
    "fassung oeuvre utwor work books volumes nouvelle original complete whole calosc tour "
    "temat theme thema tema by von der die das dem op opus set cycle cykl dzielo wydanie s "
    "annees annee pelerinage opery opera concert polish national edition narodowe urtext"
)
ENCORE_WORDS = word_set("bis bisy encore encores zugabe zugaben rappel")
NOISE = word_set(
    "subscribe subskrybuj zobacz takze also sprawdz "
    "kanal channel video videos film filmy watch ogladaj obejrzyj listen "
    "sluchaj posluchaj album albums recording recordings nagranie nagrania nagran cd dvd buy kup "
    "tickets bilety playlist playlista link links http https www com more wiecej next our nasz "
    "nasze your twoj interview wywiad masterclass lesson lekcja about history historia composed "
    "wrote written published dedicated favourite favorite best top tutorial sheet nuty pdf score "
    "download facebook instagram twitter tiktok spotify like comment komentarz support wesprzyj "
    "patron sponsor partner photo foto zdjecie copyright prawa rights reserved follow visit "
    "odwiedz website strona jury juror results wyniki announcement ogloszenie competition konkurs "
    "konkursu konkursie contest applause oklaski intermission przerwa break works utwory "
    "repertoire repertuar programme program biography biografia winner laureat prize nagroda "
    "broadcast transmisja live streaming behind scenes news review trailer when because was were "
    "will would selection selections excerpt excerpts wybor fragment fragmenty fragments my "
    "you he she they it is are have has been not this that these those"
)
LANGUAGE_OF: Mapping[str, frozenset[str]] = {
    word: frozenset(languages.split(","))
    for languages, words in {
        "en": "major minor sharp flat and the movement piano from theme book",
        "pl,de": "dur moll nr",
        "pl": "fortepianowy fortepianowa oraz cz czesc zeszyt wielki wielka temat na",
        "de": "und satz klaviersonate heft thema",
        "fr": "majeur mineur diese et sur pour mouvement livre",
        "it": "maggiore minore diesis bemolle",
        "es": "mayor menor sostenido",
        "fr,es": "bemol en",
    }.items()
    for word in words.split()
}
ALL_LANGUAGES = word_set("en fr de pl es it")

SHORTEST_MISSPELT = 4
SHORTEST_WITH_TWO_EDITS = 10
_CORRECTABLE = (
    frozenset(GENRES) | frozenset(COMPOSERS) | MAJOR | MINOR | SHARP | FLAT | MOVEMENT_WORDS
    | word_set("opus posthumous number")
)  # fmt: skip
_KNOWN = (
    _CORRECTABLE | GIVEN_NAMES | NUMBER_WORDS | POSTHUMOUS | BOOK_WORDS | AND_WORDS | RANGE_WORDS
    | frozenset(CARDINALS) | frozenset(ORDINALS) | frozenset(ROMANS) | TEMPOS | FILLERS | NOISE
    | ENCORE_WORDS | frozenset(GERMAN_TONES) | frozenset(SHORT_TONES) | frozenset(SOLFEGE)
)  # fmt: skip


def _meaning(word: str) -> object:
    """What two words must have in common for a misspelling between them to be clear."""
    for kind, words in (("major", MAJOR), ("minor", MINOR), ("sharp", SHARP), ("flat", FLAT)):
        if word in words:
            return kind
    if word in GENRES:
        return "genre", GENRES[word].name
    return COMPOSERS.get(word, word)


def _deletions(word: str, most: int) -> set[str]:
    """The word, and what is left of it when up to `most` letters are struck."""
    found = {word}
    last = found
    for _ in range(most):
        last = {w[:at] + w[at + 1 :] for w in last for at in range(len(w))}
        found |= last
    return found


class Speller:
    """Finds the known word that a misspelt one is meant for."""

    def __init__(self, names: Iterable[str]) -> None:
        """Take the words of works' names beside the general vocabulary."""
        names = frozenset(names)
        self._known = _KNOWN | names
        self._by_deletion: defaultdict[str, set[str]] = defaultdict(set)
        for word in _CORRECTABLE | names:
            if len(word) > SHORTEST_MISSPELT and word.isalpha():
                for shorter in _deletions(
                    word, 2 if len(word) >= SHORTEST_WITH_TWO_EDITS - 2 else 1
                ):
                    self._by_deletion[shorter].add(word)
        self.correct = lru_cache(maxsize=65536)(self._correct)

    def _correct(self, word: str) -> str:
        """Give the word itself where it is known or where it may be meant for two."""
        if word in self._known or len(word) < SHORTEST_MISSPELT or len(word) > 24:
            return word
        most = 2 if len(word) >= SHORTEST_WITH_TWO_EDITS else 1
        # Words within so many edits of each other have a common part after as many deletions.
        maybe = {
            known
            for shorter in _deletions(word, most)
            for known in self._by_deletion.get(shorter, ())
        }
        edits_of = {known: OSA.distance(word, known) for known in maybe}
        least = min(edits_of.values(), default=most + 1)
        if least > most:
            return word
        meant = sorted(known for known, edits in edits_of.items() if edits == least)
        return meant[0] if len({_meaning(known) for known in meant}) == 1 else word
