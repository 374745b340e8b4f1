"""Pieces of music within a title: which of its words say what is played.

What belongs here: the words of piano music and the rules by which they make a piece. What does not:
which work it is; a programme says that, a title only has to be read to its last word.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence, Set
from itertools import takewhile

from data_collection.competition.names import word_set
from data_collection.competition.title_tokens import Token, phrase_positions
from data_collection.competition.title_words import COMPETITION_WORDS

GENRES = word_set(
    "etude etudes etiuda etiudy etiud study studies prelude preludes preludium preludia preludio "
    "praludium nocturne nocturnes nokturn nokturny notturno mazurka mazurkas mazurek mazurki "
    "waltz waltzes walc walce valse valses walzer polonaise polonaises polonez polonezy ballade "
    "ballades ballada ballady ballad scherzo scherzi scherzos sonata sonatas sonate sonaten "
    "sonatina concerto concertos koncert klavierkonzert concierto fantasy fantasie fantaisie "
    "fantazja fantasia barcarolle barkarola berceuse kolysanka rondo rondos impromptu impromptus "
    "variations variation wariacje variationen variaciones bolero tarantella tarantelle toccata "
    "fugue fugues fuga suite partita rhapsody rhapsodie rapsodia intermezzo intermezzi capriccio "
    "caprice krakowiak ecossaises ecossaise bagatelle bagatelles chaconne arabesque arabeske "
    "humoreske novelette novelettes romance invention inventions passacaglia transcription "
    "paraphrase ouverture overture moments musical musicaux klavierstucke fantasiestucke "
    "miniatures elegie consolation polka gavotte gigue sarabande allemande courante march marche "
    "minuet menuet pastorale feuillet albumblatt cadenza"
)
PIECE_WORDS = word_set(
    "opus posth posthumous allegro allegretto andante andantino largo larghetto presto "
    "prestissimo maestoso vivace vivo adagio lento moderato brillante brillant grande grand "
    "funebre funeral march finale heroic revolutionary military piano troppo molto assai "
    "fortepianowy symphonic symphoniques paganini theme transcendental transcendantes dexecution "
    "transcendante tableaux spianato mazur polacca fuoco version cycle book set dances dance "
    "tances songs mvt movement movements spirito cantabile sostenuto espressivo scherzando "
    "agitato tempo marcia giusto cantilena recitativo attacca klavier wohltemperierte "
    "welltempered tempered clavier"
)
KEYS = word_set(
    "a b c d e f g h cis dis eis fis gis ais his ces des es fes ges as do re mi fa sol la si ut"
)
MODES = word_set(
    "major minor dur moll majeur mineur mayor menor maggiore minore sharp flat bemol bemolle "
    "diese diesis sostenido"
)
COMPOSERS = word_set(
    "chopin chopina bach mozart beethoven haydn schubert schumann liszt brahms debussy ravel "
    "rachmaninoff rachmaninov rachmaninow rachmaninof scriabin skriabin prokofiev prokofieff "
    "tchaikovsky czajkowski mendelssohn scarlatti bartok szymanowski paderewski stravinsky "
    "strawinsky clementi messiaen ligeti granados albeniz falla mompou ginastera villalobos "
    "lobos balakirev mussorgsky moussorgsky medtner busoni godowsky alkan faure franck poulenc "
    "satie chabrier dutilleux boulez gershwin barber copland ives bernstein carter corigliano "
    "kapustin shostakovich szostakowicz rubinstein borodin glinka lyadov arensky taneyev grieg "
    "sibelius nielsen dvorak smetana janacek martinu dohnanyi kodaly kurtag enescu weber hummel "
    "czerny moszkowski zarebski bacewicz lutoslawski szymanowska penderecki handel haendel "
    "purcell rameau couperin daquin soler galuppi reger wagner berg schonberg schoenberg webern "
    "hindemith stockhausen cage takemitsu respighi casella berio saint saens gounod bizet gluck "
    "verdi bellini rossini siloti kempff agosti volodos horowitz cziffra thalberg hamelin field "
    "rzewski crumb vine hough liebermann muczynski rorem perle wuorinen harbison zwilich kernis "
    "bolcom tower montero larcher rihm widmann saariaho salonen lindberg rautavaara part "
    "ustvolskaya schnittke gubaidulina shchedrin silvestrov lysenko kosenko bortkiewicz lyapunov "
    "glazunov rimsky korsakov cui rebikov catoire blumenfeld hensel viardot chaminade beach "
    "gottschalk macdowell joplin grainger ireland bax britten walton tippett nancarrow feldman "
    "reich glass cowell antheil babbitt sessions piston finney turina soler nepomuceno guarnieri "
    "mignone nazareth lecuona cervantes chavez ponce piazzolla guastavino froberger pachelbel "
    "buxtehude sweelinck byrd gibbons cimarosa dussek tomasek vorisek suk fibich novak gade "
    "kuhlau stenhammar sinding alnaes palmgren hamelin friedman rosenthal tausig raff reinecke "
    "heller burgmuller henselt kalkbrenner herz field dohnanyi weiner veress satie hahn decaux "
    "severac dukas roussel ibert milhaud honegger francaix jolivet ohana tailleferre enesco "
    "lipatti moniuszko noskowski zelenski rozycki maciejewski panufnik tansman kilar gorecki "
    "adams auerbach ades unsuk chin tan dun leschetizky gulda pletnev"
)
NAMES_TOO = word_set(
    "part tower perle beach ireland glass reich sessions piston herz cui suk heller novak "
    "friedman rosenthal hahn gade field byrd gibbons adams ponce chavez cervantes feldman "
    "korsakov rimsky montero bax raff cowell walton babbitt berg cage field vine tan dun chin "
    "weber carter adams barber saint soler wagner crumb ives hough hamelin"
)
"""Composers whose names are everybody's: only beside a genre or a work's number."""
COMPOSERS_GIVEN_NAMES = word_set(
    "frederic fryderyk fryderyka frederick franz ludwig van johann sebastian wolfgang amadeus "
    "robert johannes claude maurice sergei sergey alexander joseph domenico felix pyotr peter "
    "igor modest olivier gyorgy bela karol isaac enrique george camille cesar gabriel nikolai "
    "samuel marc andre clara fanny carl philipp emanuel"
)
CATALOGUES = word_set(
    "op opus no nos nr n bwv wv k kv d hob woo l s sz bb wq h r rv p m twv hwv fs book books bk "
    "buch heft cahier volume vol zeszyt ks"
)
COUNTING = word_set("no nos nr n")
"""They count anything, competitors too; beside other words of music they count works."""
WITH_ROMAN = word_set(
    "book books bk buch heft cahier volume vol zeszyt ks hob no nr concerto sonata"
)
PIECE_CONNECTORS = word_set("in and i et & on a sur la de du from by of the en und y + to for w z")
LINKED = {"ma": word_set("non"), "non": word_set("troppo tanto"),
          "con": word_set("fuoco brio moto spirito espressione anima variazioni bravura"),
          "alla": word_set("turca marcia polacca breve"), "concert": GENRES,
          "original": word_set("version")}  # fmt: skip

NICKNAMES = frozenset(
    tuple(words.split())
    for words in (
        "winter wind", "black key", "black keys", "ocean", "octave", "octaves", "thirds",
        "double thirds",
        "sixths", "aeolian harp", "harp", "butterfly", "butterflies", "torrent", "cello",
        "wrong note",
        "tristesse", "sunshine", "waterfall", "bees", "horseman", "shepherd boy", "raindrop",
        "minute", "minute waltz", "petit chien", "farewell", "ladieu", "heroic", "heroique",
        "military", "tragic", "revolutionary", "funeral march", "marche funebre", "hammerklavier",
        "appassionata", "moonlight", "waldstein", "pathetique", "les adieux", "tempest", "emperor",
        "eroica", "pastoral", "hunt", "the hunt", "wanderer", "der wanderer", "quasi una fantasia",
        "alla turca", "turkish march", "coronation", "jeunehomme", "facile", "italian", "goldberg",
        "diabelli", "black mass", "white mass",
        "war sonata", "stalingrad", "wiosenny", "rewolucyjna", "deszczowe", "wojskowy", "heroiczny",
        "zimowy wicher", "harfa eolska", "egyptian", "dante", "per aspera ad astra", "drama",
        "la leggierezza", "un sospiro", "waldesrauschen", "gnomenreigen", "la campanella",
        "la chasse", "feux follets", "wilde jagd", "mazeppa", "vision", "ricordanza",
        "harmonies du soir", "chasse neige", "paysage", "preludio", "fusees", "english",
        "concert", "little red riding hood", "i hope i dont", "autumn in warsaw",
        "lescalier du diable", "devils staircase", "the devils staircase", "arc en ciel",
        "fanfares",
        "der zauberlehrling", "vertige", "cordes a vide", "automne a varsovie", "galamb borong",
    )
)  # fmt: skip
"""What some pieces are called; explained beside a piece, or in quotation marks beside one."""
WORKS = frozenset(
    tuple(words.split())
    for words in (
        "wanderer", "wanderer fantasy", "gaspard de la nuit", "ondine", "le gibet", "scarbo",
        "gargoyles",
        "la valse", "petrushka", "petrouchka", "pietruszka", "kreisleriana", "carnaval", "carnival",
        "faschingsschwank aus wien", "davidsbundlertanze", "davidsbundlertaenze", "papillons",
        "kinderszenen", "scenes from childhood", "waldszenen", "forest scenes", "bunte blatter",
        "arabeske", "blumenstuck", "nachtstucke", "gesange der fruhe", "geistervariationen",
        "pictures at an exhibition", "pictures from an exhibition", "obrazki z wystawy", "islamey",
        "mephisto", "mephisto waltz", "apres une lecture du dante", "dante sonata",
        "vallee dobermann",
        "annees de pelerinage", "years of pilgrimage", "venezia e napoli", "sonetto del petrarca",
        "petrarch sonnet", "les jeux deaux a la villa deste", "jeux deaux", "funerailles",
        "benediction de dieu dans la solitude", "reminiscences de don juan",
        "reminiscences de norma",
        "rigoletto", "isoldes liebestod", "liebestod", "liebestraum", "danse macabre", "totentanz",
        "spanish dances", "rhapsodie espagnole", "legende", "legendes",
        "st francis", "images", "estampes", "lisle joyeuse", "childrens corner",
        "suite bergamasque",
        "clair de lune", "pour le piano", "masques", "reflets dans leau", "feux dartifice",
        "pagodes",
        "soiree dans grenade", "jardins sous la pluie", "miroirs", "noctuelles", "oiseaux tristes",
        "une barque sur locean", "alborada del gracioso", "la vallee des cloches",
        "le tombeau de couperin", "valses nobles et sentimentales", "sonatine", "pavane",
        "goldberg", "well tempered clavier", "wohltemperiertes klavier", "chromatic fantasy",
        "french",
        "nun komm der heiden heiland", "pour les cinq doigts",
        "pour les tierces", "pour les quartes", "pour les sixtes",
        "pour les octaves", "pour les huit doigts", "pour les degres chromatiques",
        "pour les agrements", "pour les notes repetees", "pour les sonorites opposees",
        "pour les arpeges composes", "pour les accords", "goyescas", "el amor y la muerte",
        "los requiebros", "el pelele", "quejas", "la maja y el ruisenor", "iberia", "triana",
        "el albaicin", "asturias", "navarra", "fantasia baetica", "danzas argentinas",
        "out of doors",
        "im freien", "romanian folk dances", "mikrokosmos", "allegro barbaro", "metopes", "metopy",
        "maski", "vers la flamme", "black mass", "etudes tableaux", "moments musicaux",
        "visions fugitives",
        "romeo and juliet", "sarcasms", "suggestion diabolique", "cinderella", "the seasons",
        "les saisons",
        "dumka", "vingt regards sur lenfant jesus", "vingt regards", "catalogue doiseaux",
        "regard de lesprit de joie", "musica ricercata", "rhapsody in blue", "concerto in f",
        "excursions", "phantasy", "piano variations", "the people united",
        "the people united will never be defeated",
        "winnsboro cotton mill blues", "fantasia on an ostinato", "suite de danses", "holberg",
        "lyric pieces",
        "in the mists", "on an overgrown path", "sonata reminiscenza", "forgotten melodies",
        "le festin desope",
        "la campanella", "un sospiro", "don juan", "nutcracker", "die fledermaus",
        "andante spianato", "andante spianato and grande polonaise brillante", "allegro de concert",
        "la ci darem la mano", "souvenir de paganini", "rondo a la mazur", "rondo a la krakowiak",
        "polonaise fantaisie", "polonaise fantasy", "trois nouvelles etudes", "nouvelles etudes",
        "hexameron", "variations serieuses", "songs without words", "lieder ohne worte", "bourree",
        "moment musical", "klavierstucke", "drei klavierstucke", "eroica", "diabelli", "fur elise",
        "rage over a lost penny", "liebesleid", "liebesfreud", "three movements from petrushka",
        "trois mouvements de petrouchka", "firebird", "le sacre du printemps", "rite of spring",
        "cuadernos", "musica callada", "scenes dance", "three pieces", "six pieces",
        "four pieces", "24 preludes",
        "preludes and fugues", "prelude and fugue", "prelude chorale and fugue",
        "prelude choral et fugue",
    )
)  # fmt: skip
"""Works that no word of a genre gives away."""
EVENT_WORDS = word_set(
    "festival academy society institute museum hall foundation school conservatory university "
    "prize award awards medal cup concours competition contest konkurs trio quartet club days "
    "year birthday tribute project tour talk documentary house talks evening artist"
)
"""What makes a composer's name an occasion: no piece goes on through them."""
MOST_WORDS_OF_A_WORK = 8
MUSIC_WORDS = GENRES | PIECE_WORDS | MODES | COMPOSERS | CATALOGUES

_NUMBER = re.compile(r"\d{1,4}[a-e]?")
_SMALL_NUMBER = re.compile(r"\d{1,2}")
_ROMAN = re.compile(r"(?=[ivxl])l?x{0,4}(?:ix|iv|v?i{0,3})")
_SMALL_ROMAN = re.compile(r"i{1,3}|iv|vi{0,3}")
_TEMPI = word_set(
    "allegro allegretto andante andantino largo larghetto presto maestoso vivace adagio lento "
    "moderato finale scherzo rondo marche romance grave intermezzo"
)
_QUOTED = re.compile(r'"[^"]*"|[“„][^”“]*[”“]|«[^»]*»|(?<!\w)\'[^\']+\'(?!\w)')


def catalogued(tokens: Sequence[Token]) -> frozenset[int]:
    """Positions of numbers that count works, as in `Op. 10 No. 12`, and of `Op.` itself."""
    found: set[int] = set()
    for at, token in enumerate(tokens[:-1]):
        parted = tokens[at + 1].after_break or tokens[at + 1].segment != token.segment
        if token.word not in CATALOGUES or parted or token.hyphenated:
            continue
        number = tokens[at + 1].word
        if _NUMBER.fullmatch(number):
            found |= {at, at + 1}
        elif token.word in WITH_ROMAN and _ROMAN.fullmatch(number):
            after = tokens[at + 2 : at + 3]
            of_hoboken = token.word == "hob" and after and _NUMBER.fullmatch(after[0].word)
            found |= {at, at + 1, at + 2} if of_hoboken else {at, at + 1}
    return frozenset(found)


def names_a_piece(tokens: Sequence[Token]) -> bool:
    """Whether a title speaks of music at all."""
    return bool(catalogued(tokens)) or any(token.word in GENRES for token in tokens)


def piece_runs(
    tokens: Sequence[Token], free: Set[int], *, title: str, people: Set[str], namesake: Set[str]
) -> list[range]:
    """Find stretches that are a piece of music: a genre, a work or its number, and its details.

    Args:
        tokens: the title's words.
        free: positions that nothing else explains.
        title: the clean title, for capitals and quotation marks.
        people: words of the roster's names; a composer's name among them is no composer's.
        namesake: words of the edition's name; `Chopin Talk` is no piece in a Chopin competition.
    """
    reader = _Reader(tokens, free, title, people, namesake)
    nicknames = reader.nicknames()
    telling = reader.works() | reader.titled_works() | reader.called_works(nicknames)
    counts = reader.numbers | {at for at in free if reader.is_roman_number(at)}
    of_music = {at for at in free if reader.is_piece_word(at)} | (reader.numbers & free)
    runs = [
        _without_connectors(tokens, run, telling | counts)
        for run in reader.stretches(telling | of_music | nicknames)
    ]
    sure = [run for run in runs if any(reader.tells(at) or at in telling for at in run)]
    counted = [run for run in runs if run not in sure and set(run) & reader.numbers]
    lists = [run for run in runs if run not in sure and reader.lists_composers(run)]
    kept = sure + (counted if sure else []) + lists
    return [range(run[0], run[-1] + 1) for run in sorted(kept) if run]


class _Reader:
    """One title, read for music."""

    def __init__(
        self,
        tokens: Sequence[Token],
        free: Set[int],
        title: str,
        people: Set[str],
        namesake: Set[str],
    ) -> None:
        self._tokens = tokens
        self._words = [token.word for token in tokens]
        self._free = free
        self._title = title
        self._composers = COMPOSERS - people
        self._people = people
        self._namesake = namesake
        self.numbers = catalogued(tokens)

    def _word(self, at: int) -> str:
        return self._words[at] if 0 <= at < len(self._words) else ""

    def _beside(self, at: int, step: int) -> str:
        """Give the next or the last word of the same segment."""
        near = at + step
        same = (
            0 <= near < len(self._tokens) and self._tokens[near].segment == self._tokens[at].segment
        )
        return self._words[near] if same else ""

    def tells(self, at: int) -> bool:
        """Whether a word alone makes a stretch a piece."""
        word = self._word(at)
        counting = COUNTING | {"book", "volume", "vol"}
        before = self._word(at - 1)
        return word in GENRES or (
            at in self.numbers and word not in counting and before not in counting
        )

    def works(self) -> set[int]:
        """Positions of the titles of works, the composer's competition apart."""
        return {
            at
            for phrase in WORKS
            if phrase[0] in self._words
            for at in phrase_positions(self._words, phrase)
            if at in self._free and not self._of_a_competition(at)
        }

    def titled_works(self) -> set[int]:
        """Positions of `BARTÓK Out of Doors` or `Messiaen: Regard du silence`.

        The composer stands in capitals that the title has not elsewhere, or before a colon, or a
        work's number ends the words that follow; these are capitalised and nothing else's.
        """
        shouting = self._title.upper() == self._title
        found: set[int] = set()
        for at in sorted(self._free):
            word = self._word(at)
            if word not in self._composers or self._of_a_competition(at):
                continue
            token = self._tokens[at]
            raw = self._title[token.start : token.end]
            follows = list(self._title_words(at + 1))
            if not follows:
                continue
            ends_in_number = self._ends_in_number(follows[-1])
            marked = raw.isupper() and not shouting
            colon = self._title[token.end : token.end + 1] == ":"
            own = word.removesuffix("a") in self._namesake
            if word in NAMES_TOO and not any(self._word(after) in GENRES for after in follows):
                marked = colon = False
            if ends_in_number or ((marked or colon) and not own):
                found |= {at, *follows}
        return found

    def _ends_in_number(self, last: int) -> bool:
        after = last + 1
        return any(
            at in self.numbers and self._word(at) in CATALOGUES - COUNTING for at in (last, after)
        )

    def _title_words(self, start: int) -> Iterator[int]:
        """Positions from `start` that may be a work's title, up to a break or another's word."""
        words: list[int] = []
        for at in range(start, min(start + MOST_WORDS_OF_A_WORK, len(self._tokens))):
            token = self._tokens[at]
            parted = at > start and (
                token.after_break or token.segment != self._tokens[at - 1].segment
            )
            raw = self._title[token.start : token.end]
            capital = raw[0].isupper() or raw[0].isdigit()
            if parted or at not in self._free or at in self.numbers or token.tagged:
                break
            if (
                token.word in EVENT_WORDS | COMPETITION_WORDS - PIECE_WORDS
                or token.word in self._people
            ):
                return
            if not capital and token.word not in PIECE_CONNECTORS | self._lower_case_titles():
                break
            words.append(at)
        while words and self._word(words[-1]) in PIECE_CONNECTORS:
            words.pop()
        yield from words

    @staticmethod
    def _lower_case_titles() -> frozenset[str]:
        """Small words within the titles of works in French, German, Spanish and Italian."""
        return word_set(
            "une un le les des d l dans aux au du der die das im aus von y los el las del di e"
        )

    def nicknames(self) -> set[int]:
        """Positions in quotation marks, and of what pieces are called without them.

        They are music only beside a piece or right after a composer: `"Ocean"` alone is none.
        """
        spans = [found.span() for found in _QUOTED.finditer(self._title)]
        quoted = {
            at
            for at, token in enumerate(self._tokens)
            if any(a <= token.start and token.end <= b for a, b in spans)
        }
        called = {
            at
            for phrase in NICKNAMES
            if phrase[0] in self._words
            for at in phrase_positions(self._words, phrase)
        }
        barred = self._people | EVENT_WORDS
        return {at for at in (quoted | called) & self._free if self._word(at) not in barred}

    def called_works(self, nicknames: Set[int]) -> set[int]:
        """Positions of a composer with a nickname right after: `Ligeti L'escalier du diable`."""
        composers = self._composers - NAMES_TOO
        return {
            at
            for after in nicknames
            if self._word(after - 1) in composers and not self._of_a_competition(after - 1)
            for at in (after - 1, after)
            if at in self._free
        }

    def stretches(self, positions: Set[int]) -> list[list[int]]:
        """Group positions into stretches; `Haydn: Sonata` and `Etude "Ocean"` are one."""
        runs: list[list[int]] = []
        for at in sorted(positions):
            token = self._tokens[at]
            close = at > 0 and (
                token.segment == self._tokens[at - 1].segment
                or self._word(at - 1) in self._composers
                or (token.start - self._tokens[at - 1].end <= 3 and not token.after_break)
                or self._title[self._tokens[at - 1].end : token.start].strip() in (":", "/")
            )
            if runs and runs[-1][-1] == at - 1 and close:
                runs[-1].append(at)
            else:
                runs.append([at])
        return runs

    def lists_composers(self, run: Sequence[int]) -> bool:
        """Whether a stretch is `Bach, Haydn & Liszt`: two at least, else it may be an occasion."""
        composers = [at for at in run if self._word(at) in self._composers - NAMES_TOO]
        others = {self._word(at) for at in run} - self._composers - {"and", "&", "i", "et", "und"}
        beside = {self._word(run[0] - 1), self._word(run[-1] + 1)} if run else set()
        return (
            len(composers) > 1 and not others and beside.isdisjoint(EVENT_WORDS | COMPETITION_WORDS)
        )

    def is_piece_word(self, at: int) -> bool:
        """Whether a word can be a part of a piece's name where it stands."""
        word, before, after = self._word(at), self._word(at - 1), self._word(at + 1)
        if word in self._composers | GENRES or word.removesuffix("s") in self._composers:
            return word not in self._people and not self._of_a_competition(at)
        if word in LINKED:
            return after in LINKED[word]
        if word in KEYS and (
            after in MODES or (before in {"in", "en"} and word not in {"la", "a"})
        ):
            return True
        if word in PIECE_WORDS | MODES | PIECE_CONNECTORS:
            return True
        if word in COMPOSERS_GIVEN_NAMES:
            return after in self._composers | COMPOSERS_GIVEN_NAMES
        if len(word) == 1 and word.isalpha() and self._before_composer(at):
            return True
        if self.is_roman_number(at):
            return True
        if re.fullmatch(r"1[89]\d\d", word):
            return after == "version"
        before, after = self._beside(at, -1), self._beside(at, 1)
        follows = before in GENRES | {"and", "i", "&"} or _NUMBER.fullmatch(before) is not None
        counts = (follows and after not in COMPETITION_WORDS) or after in GENRES
        return counts and _SMALL_NUMBER.fullmatch(word) is not None

    def is_roman_number(self, at: int) -> bool:
        """Whether a word is the number of a movement, `III. Largo`, or of a work, `Concerto I`."""
        numbers_it = self._beside(at, -1) in GENRES and self._word(at + 1) not in COMPETITION_WORDS
        beside = self._word(at + 1) in _TEMPI or numbers_it
        return beside and _SMALL_ROMAN.fullmatch(self._word(at)) is not None

    def _before_composer(self, at: int) -> bool:
        """Whether an initial, and those after it, stand before a composer: `J.S. Bach`."""
        rest = self._words[at : at + 4]
        surname = next((word for word in rest if len(word) > 1), "")
        return surname in self._composers | {"van"}

    def _of_a_competition(self, at: int) -> bool:
        """Whether a word stands in `Tchaikovsky Piano Competition` or `Concerto Competition`.

        Such a word is no piece, and the competition perhaps another than the edition's.
        """
        contest = COMPETITION_WORDS - PIECE_WORDS
        segment = [t.word for t in self._tokens[at + 1 :] if t.segment == self._tokens[at].segment]
        after = takewhile(COMPETITION_WORDS.__contains__, segment)
        of_contest = self._word(at - 1) in contest and self._word(at) in COMPOSERS
        return of_contest or not contest.isdisjoint(after)


def _without_connectors(
    tokens: Sequence[Token], run: Sequence[int], telling: Set[int]
) -> list[int]:
    """Leave out the `in` or `and` that a run starts or ends with."""
    core = [at for at in run if at in telling or tokens[at].word not in PIECE_CONNECTORS]
    return [at for at in run if core and core[0] <= at <= core[-1]]
