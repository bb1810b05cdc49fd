"""Files of the Russian register, made as the Federal Tax Service makes them: windows-1251, one СвЮЛ after the other."""

from xml.sax.saxutils import quoteattr

FIAS = """<{tag} ИдНом="8d6f2e4b-6b4a-4a53-9d5c-111111111111" Индекс="{index}">
  <Регион>{region}</Регион><НаимРегион>{name}</НаимРегион>
  <МуниципРайон ВидКод="2" Наим="ГОРОД ОКТЯБРЬСКИЙ"/><НаселенПункт Вид="Г" Наим="ОКТЯБРЬСКИЙ"/>
  <ЭлУлДорСети Тип="ПР-КТ" Наим="ЛЕНИНА"/><Здание Тип="Д." Номер="1А"/><ПомещЗдания Тип="ОФИС" Номер="5"/>
  <ГРНДата ГРН="2190280000001" ДатаЗаписи="2019-01-01"/></{tag}>"""
KLADR = """<{tag} Индекс="694500" КодРегион="65" КодАдрКладр="650070000000004" Дом="Д. 11" Корпус="-" Кварт="КВ.2">
  <Регион ТипРегион="ОБЛАСТЬ" НаимРегион="САХАЛИНСКАЯ"/><Район ТипРайон="Р-Н" НаимРайон="ЮЖНО-КУРИЛЬСКИЙ"/>
  <НаселПункт ТипНаселПункт="ПГТ" НаимНаселПункт="ЮЖНО-КУРИЛЬСК"/><Улица ТипУлица="УЛ" НаимУлица="ОКЕАНСКАЯ"/>
  <ГРНДата ГРН="2190280000001" ДатаЗаписи="2019-01-01"/></{tag}>"""
FOUNDERS = """<СвУчредит><УчрФЛ><СвФЛ Фамилия="ИВАНОВ" Имя="ИВАН" ИННФЛ="770000000000"/>
  <АдресРФ Индекс="101000" КодРегион="77"/></УчрФЛ></СвУчредит>
  <СвЗапЕГРЮЛ ИдЗап="1"><ВидЗап КодСПВЗ="1"/></СвЗапЕГРЮЛ>"""
GONE = """<СвПрекрЮЛ ДатаПрекрЮЛ="2020-02-02"><СпПрекрЮЛ КодСпПрекрЮЛ="201" НаимСпПрекрЮЛ="Ликвидация"/></СвПрекрЮЛ>"""


def fias(tag="СвАдрЮЛФИАС", index="452613", region="02", name="РЕСПУБЛИКА БАШКОРТОСТАН"):
    return FIAS.format(tag=tag, index=index, region=region, name=name)


def kladr(tag="АдресРФ"):
    return KLADR.format(tag=tag)


def branch(kpp=None, name=None, address=""):
    named = "" if name is None else f"<СвНаим НаимПолн={quoteattr(name)}/>"
    listed = (
        ""
        if kpp is None
        else f'<СвУчетНОФилиал КПП="{kpp}" ДатаПостУч="2001-01-01"><СвНО КодНО="0000"/></СвУчетНОФилиал>'
    )
    return f"<СвФилиал>{named}{address}{listed}</СвФилиал>"


def entity(
    ogrn="1020200000001", inn="0265000001", kpp="026501001", name='ООО "РОМАШКА"', short=None, address=None,
    branches="", more="", made_on="2024-01-10", short_in_names=None,
):  # fmt: skip
    numbers = "".join(f' {key}="{value}"' for key, value in (("ИНН", inn), ("КПП", kpp)) if value is not None)
    older = "" if short_in_names is None else f" НаимЮЛСокр={quoteattr(short_in_names)}"
    newer = "" if short is None else f"<СвНаимЮЛСокр НаимСокр={quoteattr(short)}/>"
    where = f"<СвАдресЮЛ>{fias() if address is None else address}</СвАдресЮЛ>"
    units = f"<СвПодразд>{branches}</СвПодразд>" if branches else ""
    return (
        f'<СвЮЛ ДатаВып="{made_on}" ОГРН="{ogrn}" ДатаОГРН="2002-08-01"{numbers} КодОПФ="12300">'
        f"<СвНаимЮЛ НаимЮЛПолн={quoteattr(name)}{older}><ГРНДата ГРН='1'/>{newer}</СвНаимЮЛ>"
        f"{where}{FOUNDERS}{more}{units}</СвЮЛ>\n"
    )


def register(*entities, day="2024-01-15", encoding="windows-1251", said=None, before=""):
    head = f'<?xml version="1.0" encoding="{said or encoding}" ?>\n{before}'
    return f'{head}<EGRUL ДатаВыг="{day}">\n{"".join(entities)}</EGRUL>'.encode(encoding)
