"""`python -m tests.common_passwords` writes `data/common_passwords.txt`: what people choose, and how.

Made here, from words, names, years and keyboards that anybody knows; no leaked list was read or copied.
"""

from collections.abc import Iterator
from itertools import product
from pathlib import Path

from application.password import fold

FILE = Path(__file__).parents[1] / "data" / "common_passwords.txt"
SHORTEST = 8
"""No setting allows a shorter password."""

WORDS = """
access account admin administrator angel apple autumn baby banana baseball basketball batman beautiful blink182
bonjour butterfly button changeit changeme charlie cheese chelsea chicken chocolate coffee computer cookie corona
correct cowboy default demo diamond doctor dolphin dragon eagle elephant enter family ferrari flower football forever
freedom friend friends galaxy gfhjkm ginger google guest guitar hallo hammer hannah happy hello helloworld heslo
hockey hunter iloveu iloveyou internet jesus jordan killer kitten ksenia ledzeppelin letmein liverpool london looking
love lovely loveme lucky madrid magic manager marina marseille master matrix maverick mercedes merlin michael
michelle midnight minecraft mishka money monkey moscow motdepasse mother mustang naruto nastya natasha nicole nintendo
office orange pakistan parola paris parol password passwort patate pepper phoenix picture pokemon portal prince
princess privet purple qazwsx rabbit rainbow raiders ranger rangers robert rockyou root russia samsung scooter secret
service shadow silver snoopy soccer soleil solnishko solo spartak spider spiderman spring starwars startrek startup
summer sunday sunshine superman support sysadmin system temp temporary temppassword test tester testing thomas thunder
tigger tinkle toyota trustno1 unknown user victoria viking welcome whatever whoknows winner winter wonderful yankees
azerty qwerty qwertz doudou loulou chouchou coucou jetaime tonton nicolas camille cheval chocolat famille
voiture vacances etoile liberte bienvenue secretariat comptable bureau societe directeur
lyubov lubimaya zvezda svetlana dima maksim sergey alexander vladimir andrey ivanov yandex vkontakte odnoklassniki
""".split()  # noqa: SIM905 - to be read in lines

NAMES = """
alexandra alice amanda andrea andrew angela anthony antoine ashley barbara benjamin brandon brian carlos caroline
catherine charles charlotte christian christopher claire daniel david diana dmitry eduard ekaterina elena elizabeth
emilie emma eric florian frederic george guillaume igor irina isabelle jacob james jennifer jessica john jonathan
joseph joshua julia julien justin katerina kevin laura laurent leonard linda lisa louis lucas madison marie martin
mathieu matthew maria melissa nadia nathalie nathan oleg olga olivia olivier pascal patrick pavel philippe pierre
rachel rebecca richard sandra sandrine sarah sebastien sophie stephanie steven tatiana tatyana valentin vanessa
veronique victor vincent william yulia
""".split()  # noqa: SIM905 - to be read in lines

SEASONS = """
spring summer autumn winter printemps automne hiver january february march april august september october november
december monday tuesday wednesday thursday friday saturday janvier fevrier septembre octobre novembre decembre
""".split()  # noqa: SIM905 - to be read in lines

PHRASES = """
abc123abc123 abcd1234abcd abcdefghijkl abcdefghijklm abcdefghijklmnop abcdefghijklmnopqrstuvwxyz allyouneedislove
administrator administrateur adminadminadmin aaaaaaaaaaaa barcelona1899 bienvenuechezmoi carpediem correcthorse
correcthorsebattery correcthorsebatterystaple donttellanyone enterpassword fuckyoufuckyou forgotpassword
godisgood godisgreat guessmypassword hakunamatata haveaniceday ihatepasswords iforgotmypassword iloveyoubaby
iloveyoumom iloveyousomuch iloveyouforever iamtheboss jesuschrist jesusislord jesuslovesme jetaimeforever
justinbieber leavemealone letmeinletmein letmeinplease liverpoolfc lordoftherings manchesterunited mickeymouse
michaeljackson monmotdepasse motdepassesecret mypasswordis mypassword mysecretpassword newpassword newyorkcity
nopassword notmypassword onedirection opensesame passwordpassword passwordadmin passwordispassword parolparol
pleaseletmein qwertyuiopasdf realmadrid sesameouvretoi secretpassword secretsecret soleilsoleil starwarsfan
startfromscratch stayhungry strongpassword superpassword supersecret supersecretpassword temporarypassword
testtesttest thisisapassword thisismypassword thisisasecret thisisatest thequickbrownfox tobeornottobe
topsecretpassword usernamepassword userpassword verysecret verystrongpassword welcomehome welcometotheclub
whatever123456 winteriscoming whatismypassword youshallnotpass yourpassword
ilovemyfamily ilovemymom ilovemydog ilovemycat iloveparis ilovelondon ilovemusic ilovejesus iloveme
йцукен пароль парольпароль привет приветпривет любовь солнышко спартак москва наташа марина максим россия
""".split()  # noqa: SIM905 - to be read in lines

ROWS = """
1234567890 0123456789 0987654321 9876543210 qwertyuiop qwertyuiop[] poiuytrewq asdfghjkl asdfghjkl;' lkjhgfdsa zxcvbnm
zxcvbnm,./ mnbvcxz azertyuiop qsdfghjklm wxcvbn qwertzuiop yxcvbnm йцукенгшщзхъ фывапролджэ ячсмитьбю
1qaz2wsx3edc4rfv5tgb6yhn7ujm 1q2w3e4r5t6y7u8i9o0p q1w2e3r4t5y6u7i8o9p0 qazwsxedcrfvtgbyhnujm !qaz@wsx#edc$rfv
zaq12wsxcde34rfv 1a2b3c4d5e6f7g8h a1b2c3d4e5f6g7h8 a1z2e3r4t5y6u7i8 147258369 159357456 741852963 qweasdzxc
qweasdzxcrtyfghvbn abcdefghijklmnopqrstuvwxyz abcdef123456 aabbccddeeff 112233445566 123123123123 121212121212
111222333444 123321123321 12344321 1234qwerasdfzxcv qwer1234asdf5678 asdf1234qwer qwerasdfzxcv
""".split()  # noqa: SIM905 - to be read in lines

YEARS = [str(year) for year in range(1960, 2031)]
TAILS = [
    *("1", "12", "123", "1234", "12345", "123456", "1234567", "12345678", "123456789", "1234567890"),
    *(
        "!",
        "!!",
        "1!",
        "12!",
        "123!",
        "1234!",
        "12345!",
        "123456!",
        "@123",
        "@1234",
        "#123",
        "_123",
        "-123",
        ".123",
    ),
    *(
        "01",
        "007",
        "11",
        "111",
        "1111",
        "22",
        "69",
        "77",
        "88",
        "99",
        "321",
        "4321",
        "54321",
        "654321",
        "000",
        "0000",
    ),
    *("abc", "qwerty", "azerty", "admin", "password", "pass", "123abc", "123qwe"),
]
SPELLINGS = [
    str.maketrans(plain, odd)
    for plain, odd in (("aeios", "@310$"), ("aeio", "4310"), ("ao", "@0"), ("o", "0"))
]


def passwords() -> Iterator[str]:
    yield from PHRASES
    yield from _walks()
    for digit in "0123456789abcdefghijklmnopqrstuvwxyz*.":
        yield from (digit * length for length in range(SHORTEST, 25))
    for word in sorted({*WORDS, *NAMES, *SEASONS}):
        yield from (word * times for times in (1, 2, 3))
        yield from (word + tail for tail in TAILS)
        yield from (word + year for year in YEARS)
        yield from (word + word + tail for tail in ("1", "12", "123", "!"))
    for word, year in product(SEASONS, YEARS[40:]):
        yield from (word + year + tail for tail in ("!", "!!", "1", "123", "#", "?"))
    for word in (
        "password",
        "passwort",
        "motdepasse",
        "welcome",
        "admin",
        "administrator",
        "changeme",
        "letmein",
        "secret",
        "qwerty",
    ):
        for spelling in SPELLINGS:
            odd = word.translate(spelling)
            yield from (odd, odd + odd, *(odd + tail for tail in TAILS), *(odd + year for year in YEARS[40:]))
        yield from (word + year + tail for year, tail in product(YEARS[40:], ("!", "!!", "@", "#", "123")))
    for first, second in product(("my", "the", "new", "super", "admin", "test", "user", "best"), WORDS):
        yield from (first + second, first + second + "1", first + second + "123")


def _walks() -> Iterator[str]:
    """Along a row or column of keys: from its beginning, there and back, once and again."""
    for row in ROWS:
        for length in range(4, len(row) + 1):
            walk = row[:length]
            yield from (walk, walk[::-1], walk + walk, walk + walk[::-1], walk * 3)
            yield from (walk + tail for tail in ("1", "12", "123", "1234", "123456", "!", "123!"))
    for first, second in product(ROWS[:24], repeat=2):
        yield from (first[:length] + second[:length] for length in (4, 5, 6, 8))


def listed() -> list[str]:
    folded = {fold(one) for one in passwords()}
    return sorted(one for one in folded if len(one) >= SHORTEST and " " not in one)


if __name__ == "__main__":
    FILE.write_text("".join(f"{one}\n" for one in listed()), encoding="utf-8")
